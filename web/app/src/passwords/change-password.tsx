import { useState } from "react";
import { Link } from "react-router";
import { useAccount } from "../account-area";
import { WhoseField } from "../form/field";
import { Form, type Values } from "../form/form";
import { NewPasswordField, PasswordField } from "../form/password-field";
import { identity, patience } from "../identity";
import { useWords } from "../language";
import { Page } from "../layout/page";

export function ChangePasswordPage() {
  const { password: words, field } = useWords();
  const { profile, reload } = useAccount();
  const [isDone, setDone] = useState(false);

  async function submit(values: Values) {
    const { old_password = "", new_password = "" } = values;
    await identity.api.POST("/api/user/change-password/", {
      body: { old_password, new_password },
      signal: patience(),
    });
    setDone(true);
    reload();
  }

  if (isDone) {
    return (
      <Page title={words.done.title} intro={words.done.text}>
        <Link to="/" className="button">
          {words.done.back}
        </Link>
      </Page>
    );
  }
  return (
    <Page title={words.title} intro={words.text}>
      <section className="card">
        <Form
          onSubmit={submit}
          submit={words.submit}
          explain={(error) => (error.kind === "error" ? { old_password: [words.wrong] } : null)}
          aside={<Link to="/forgot-password">{words.forgot}</Link>}
        >
          <WhoseField username={profile.username} />
          <PasswordField name="old_password" label={field.currentPassword} />
          <NewPasswordField name="new_password" about={[profile.username, profile.email]} />
        </Form>
      </section>
    </Page>
  );
}
