import { useState } from "react";
import { Link } from "react-router";
import { useAccount } from "./account-area";
import { Form } from "./form/form";
import { useWords } from "./language";
import { Notice, Page } from "./layout/page";
import { useTimes } from "./times";
import { requestVerification } from "./verification";

export function OverviewPage() {
  const { overview: words, field } = useWords();
  const { profile } = useAccount();
  const { date, time } = useTimes();
  return (
    <Page title={words.hello(profile.display_name || profile.username)}>
      {!profile.email_verified && <Unverified email={profile.email} />}
      <section className="card" aria-labelledby="overview-profile">
        <h2 id="overview-profile">{words.profile}</h2>
        <dl className="facts">
          <dt>{field.username}</dt>
          <dd>{profile.username}</dd>
          <dt>{field.email}</dt>
          <dd>
            {profile.email}{" "}
            <span className={profile.email_verified ? "badge badge-good" : "badge badge-warning"}>
              {profile.email_verified ? words.verified : words.notVerified}
            </span>
          </dd>
          <dt>{words.joined}</dt>
          <dd>{date(profile.date_joined)}</dd>
        </dl>
        <p className="links">
          <Link to="/profile">{words.edit}</Link>
          <Link to="/email">{words.changeEmail}</Link>
        </p>
      </section>
      <section className="card" aria-labelledby="overview-security">
        <h2 id="overview-security">{words.security}</h2>
        <dl className="facts">
          <dt>{words.passwordChanged}</dt>
          <dd>{time(profile.last_updated)}</dd>
        </dl>
        <p className="links">
          <Link to="/password">{words.changePassword}</Link>
          <Link to="/sessions">{words.seeSessions}</Link>
        </p>
      </section>
    </Page>
  );
}

function Unverified({ email }: { email: string }) {
  const { overview: words } = useWords();
  const [isAsked, setAsked] = useState(false);
  if (isAsked) return <Notice kind="done">{words.verifyDone}</Notice>;
  return (
    <div className="notice notice-info">
      <p>{words.verifyText}</p>
      <Form submit={words.verifySubmit} onSubmit={() => requestVerification(email).then(() => setAsked(true))} />
    </div>
  );
}
