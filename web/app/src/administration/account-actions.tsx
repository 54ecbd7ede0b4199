import { identity, patience, type Account } from "../identity";
import { ConfirmButton } from "../layout/confirm";
import { useAdministrationWords, type Words } from "./language";

type Act = keyof Words["acts"];

const PATHS = {
  disable: "/api/admin/users/{user_id}/disable/",
  enable: "/api/admin/users/{user_id}/enable/",
  forceReset: "/api/admin/users/{user_id}/force-reset/",
  endSessions: "/api/admin/users/{user_id}/end-sessions/",
  verifyEmail: "/api/admin/users/{user_id}/verify-email/",
  promote: "/api/admin/users/{user_id}/promote/",
  demote: "/api/admin/users/{user_id}/demote/",
} as const satisfies Record<Act, string>;

const DANGEROUS: readonly Act[] = ["disable", "forceReset", "promote", "demote"];

function actsFor(account: Account): Act[] {
  return [
    account.disabled_at ? "enable" : "disable",
    "forceReset",
    "endSessions",
    ...(account.email_verified_at ? [] : (["verifyEmail"] as const)),
    account.superuser_since ? "demote" : "promote",
  ];
}

export function AccountActions({ account, onDone }: { account: Account; onDone(message: string): void }) {
  const { acts, user } = useAdministrationWords();
  return (
    <div className="actions">
      {actsFor(account).map((act) => (
        <ConfirmButton
          key={act}
          label={acts[act].label}
          title={acts[act].title(account.username)}
          text={acts[act].text}
          isDangerous={DANGEROUS.includes(act)}
          explain={(error) => (error.kind === "error" ? user.lastSuperuser : null)}
          onConfirm={async () => {
            const params = { path: { user_id: String(account.id) } };
            await identity.api.POST(PATHS[act], { params, signal: patience() });
          }}
          onDone={() => onDone(acts[act].done)}
        />
      ))}
    </div>
  );
}
