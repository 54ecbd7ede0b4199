import { useState } from "react";
import { Link } from "react-router";
import { EmailField } from "../form/field";
import { Form, type Values } from "../form/form";
import { identity, patience } from "../identity";
import { useWords } from "../language";
import { CardPage } from "../layout/page";
import { keepAskedAddress } from "./asked-address";

export function ForgotPasswordPage() {
  const { forgot: words, field } = useWords();
  const [asked, setAsked] = useState("");
  const [isDone, setDone] = useState(false);

  async function submit(values: Values) {
    const { email = "" } = values;
    await identity.api.POST("/api/auth/forgot-password/", { body: { email }, signal: patience() });
    keepAskedAddress(email.trim());
    setAsked(email);
    setDone(true);
  }

  const footer = <Link to="/login">{words.back}</Link>;
  if (isDone) {
    return (
      <CardPage title={words.done.title} intro={words.done.text(asked)} footer={footer}>
        <p>{words.done.noMail}</p>
        <button type="button" className="button button-quiet" onClick={() => setDone(false)}>
          {words.done.again}
        </button>
      </CardPage>
    );
  }
  return (
    <CardPage title={words.title} intro={words.text} footer={footer}>
      <Form onSubmit={submit} submit={words.submit}>
        <EmailField label={field.email} defaultValue={asked} />
      </Form>
    </CardPage>
  );
}
