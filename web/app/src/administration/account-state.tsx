import type { Account } from "../identity";
import { useAdministrationWords } from "./language";

export function AccountState({ account }: { account: Account }) {
  const { state } = useAdministrationWords();
  const badges: [boolean, string, string][] = [
    [account.erasure_due_at !== null, "badge-wrong", state.closing],
    [account.disabled_at !== null && account.erasure_due_at === null, "badge-wrong", state.disabled],
    [account.superuser_since !== null, "badge-accent", state.superuser],
    [account.email_verified_at === null, "badge-warning", state.unverified],
    [!account.has_password, "badge-warning", state.noPassword],
  ];
  const applying = badges.filter(([applies]) => applies);
  if (applying.length === 0) return <span className="badge badge-good">{state.open}</span>;
  return (
    <span className="badges">
      {applying.map(([, look, text]) => (
        <span key={text} className={`badge ${look}`}>
          {text}
        </span>
      ))}
    </span>
  );
}
