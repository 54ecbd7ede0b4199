import { useState } from "react";
import { Link } from "react-router";
import { EmailField } from "./form/field";
import { Form, type Values } from "./form/form";
import { identity, patience } from "./identity";
import { useWords } from "./language";
import { CardPage } from "./layout/page";
import { LinkActionPage } from "./mailed-link";

export function VerificationPage() {
  const { verification } = useWords();
  const [wantsAnother, setWantsAnother] = useState(false);
  if (wantsAnother) return <ResendPage />;
  return (
    <LinkActionPage
      page="verify-email"
      title={verification.title}
      text={verification.text}
      submit={verification.submit}
      act={(link) => identity.api.POST("/api/auth/verify-email/", { body: link, signal: patience() })}
      done={{
        title: verification.done.title,
        text: verification.done.text,
        next: (
          <Link to="/" className="button">
            {verification.done.logIn}
          </Link>
        ),
      }}
      expired={{
        text: verification.expired,
        next: (
          <button type="button" className="button" onClick={() => setWantsAnother(true)}>
            {verification.ask}
          </button>
        ),
      }}
      withoutLink={<ResendPage />}
    />
  );
}

function ResendPage() {
  const { field, verification, login } = useWords();
  const { resend } = verification;
  const [email, setEmail] = useState<string | null>(null);

  async function submit(values: Values) {
    await requestVerification(values["email"] ?? "");
    setEmail(values["email"] ?? "");
  }

  const footer = <Link to="/login">{login.title}</Link>;
  if (email !== null) return <CardPage title={resend.done.title} intro={resend.done.text(email)} footer={footer} />;
  return (
    <CardPage title={resend.title} intro={resend.text} footer={footer}>
      <Form onSubmit={submit} submit={resend.submit}>
        <EmailField label={field.email} />
      </Form>
    </CardPage>
  );
}

export async function requestVerification(email: string): Promise<void> {
  await identity.api.POST("/api/auth/resend-verification/", { body: { email }, signal: patience() });
}
