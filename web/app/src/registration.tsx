import { useState } from "react";
import { Link, Navigate } from "react-router";
import { EmailField, UsernameField } from "./form/field";
import { Form, type Values } from "./form/form";
import { NewPasswordField } from "./form/password-field";
import { identity, patience, useRestoredSession } from "./identity";
import { useWords } from "./language";
import { CardPage } from "./layout/page";

export function RegistrationPage() {
  const { registration, verification, field } = useWords();
  const { session } = useRestoredSession();
  const [names, setNames] = useState({ username: "", email: "" });
  const [isDone, setDone] = useState(false);

  async function submit(values: Values) {
    const { username = "", email = "", password = "" } = values;
    await identity.api.POST("/api/auth/register/", { body: { username, email, password }, signal: patience() });
    setNames({ username, email });
    setDone(true);
  }

  if (session.status === "authenticated") return <Navigate to="/" replace />;
  if (isDone) {
    const { done } = registration;
    return (
      <CardPage
        title={done.title}
        intro={done.text(names.email)}
        footer={
          <>
            {done.noMail} <Link to="/verify-email">{verification.ask}</Link>
          </>
        }
      >
        <Link to="/login" state={{ username: names.username }} className="button">
          {registration.logIn}
        </Link>
      </CardPage>
    );
  }
  return (
    <CardPage
      title={registration.title}
      footer={
        <>
          {registration.haveOne} <Link to="/login">{registration.logIn}</Link>
        </>
      }
    >
      <Form onSubmit={submit} submit={registration.submit}>
        <UsernameField
          label={field.username}
          hint={field.usernameHint}
          onChange={(event) => setNames({ ...names, username: event.currentTarget.value })}
        />
        <EmailField
          label={field.email}
          onChange={(event) => setNames({ ...names, email: event.currentTarget.value })}
        />
        <NewPasswordField label={field.password} about={[names.username, names.email]} />
      </Form>
    </CardPage>
  );
}
