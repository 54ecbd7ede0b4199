import { useState } from "react";
import { useAccount } from "../account-area";
import { EmailField, WhoseField } from "../form/field";
import { Form, type Values } from "../form/form";
import { PasswordField } from "../form/password-field";
import { identity, patience } from "../identity";
import { useWords } from "../language";
import { Page } from "../layout/page";

export function ChangeEmailPage() {
  const { email: words, field } = useWords();
  const { profile } = useAccount();
  const [asked, setAsked] = useState<string | null>(null);

  async function submit(values: Values) {
    const { new_email = "", password = "" } = values;
    await identity.api.POST("/api/user/change-email/", { body: { new_email, password }, signal: patience() });
    setAsked(new_email);
  }

  if (asked !== null) {
    return (
      <Page title={words.done.title} intro={words.done.text(asked)}>
        <button type="button" className="button button-quiet" onClick={() => setAsked(null)}>
          {words.done.again}
        </button>
      </Page>
    );
  }
  return (
    <Page title={words.title} intro={`${words.now(profile.email)} ${words.text}`}>
      <section className="card">
        <Form
          onSubmit={submit}
          submit={words.submit}
          explain={(error) => (error.kind === "error" ? { password: [words.wrong] } : null)}
        >
          <WhoseField username={profile.username} />
          <EmailField name="new_email" label={field.newEmail} />
          <PasswordField label={field.currentPassword} />
        </Form>
      </section>
    </Page>
  );
}
