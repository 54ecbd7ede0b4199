import type { ReactNode } from "react";
import { useAccount } from "../account-area";
import { useWords } from "../language";
import { Loading, type Loaded } from "../layout/loading";
import { Notice } from "../layout/page";
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
      <section className="card narrow-card" aria-labelledby="again">
        <h2 id="again">{login.again.title}</h2>
        <p>{login.again.text}</p>
        <LoginForm username={profile.username} onDone={of.reload} />
      </section>
    );
  }
  if (isRefusal(of.error, 403)) return <Notice kind="wrong">{notPermitted}</Notice>;
  return <Loading of={of}>{children}</Loading>;
}
