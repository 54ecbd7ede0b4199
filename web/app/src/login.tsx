import { Link, Navigate, useLocation } from "react-router";
import { UsernameField } from "./form/field";
import { Form, type Values } from "./form/form";
import { PasswordField } from "./form/password-field";
import { identity, useRestoredSession, withinPatience } from "./identity";
import { useWords } from "./language";
import { CardPage } from "./layout/page";
import { isRefusal } from "./refusal";

export function LoginPage() {
  const { login } = useWords();
  const { session } = useRestoredSession();
  const { state } = useLocation();
  if (session.status === "authenticated") return <Navigate to={pageBefore(state)} replace />;
  return (
    <CardPage
      title={login.title}
      footer={
        <>
          {login.newHere} <Link to="/register">{login.register}</Link>
        </>
      }
    >
      <LoginForm username={usernameIn(state)} />
    </CardPage>
  );
}

/** `onDone`: where the session does not tell by itself that somebody has logged in, because somebody was. */
export function LoginForm({ username = "", onDone }: { username?: string; onDone?: () => void }) {
  const { login, field } = useWords();

  async function submit(values: Values) {
    const { username = "", password = "" } = values;
    await withinPatience(identity.login({ username, password }));
    onDone?.();
  }

  return (
    <Form
      onSubmit={submit}
      submit={login.submit}
      explain={(error) => (isRefusal(error, 401) ? login.refused : null)}
      aside={<Link to="/forgot-password">{login.forgot}</Link>}
    >
      <UsernameField label={field.usernameOrEmail} defaultValue={username} />
      <PasswordField />
    </Form>
  );
}

/** The history's state outlives this version of the app. */
function textIn(state: unknown, name: string): string {
  const value: unknown = state !== null && typeof state === "object" ? Reflect.get(state, name) : null;
  return typeof value === "string" ? value : "";
}

function pageBefore(state: unknown): string {
  const from = textIn(state, "from");
  return /^\/(?![/\\])/.test(from) ? from : "/";
}

function usernameIn(state: unknown): string {
  return textIn(state, "username");
}
