import type { ReactNode } from "react";
import { useAccount } from "../account-area";
import { useWords } from "../language";
import { Loading, type Loaded } from "../layout/loading";
import { CardPage } from "../layout/page";
import { LoginForm } from "../login";
import { isRefusal } from "../refusal";
import { useAdministrationWords } from "./language";

/** What only a superuser is shown who has logged in lately; the others are told what to do. */
export function Admitted<T>({ of, children }: { of: Loaded<T>; children: (data: T) => ReactNode }) {
  const { login } = useWords();
  const { notPermitted } = useAdministrationWords();
  const { profile } = useAccount();
  if (isRefusal(of.error, 403, "login_too_old")) {
    return (
      <CardPage title={login.again.title} intro={login.again.text}>
        <LoginForm username={profile.username} onDone={of.reload} />
      </CardPage>
    );
  }
  if (isRefusal(of.error, 403)) return <CardPage title={notPermitted.title} intro={notPermitted.text} />;
  return <Loading of={of}>{children}</Loading>;
}
