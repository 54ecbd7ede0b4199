import { data } from "identity-client";
import { useState } from "react";
import { Link, useParams } from "react-router";
import { deviceOf } from "../device";
import { identity, type Account, type AccountDetails } from "../identity";
import { useWords } from "../language";
import { useLoaded } from "../layout/loading";
import { CardPage, focusHeading, Notice, Page } from "../layout/page";
import { isRefusal } from "../refusal";
import { useTimes } from "../times";
import { AccountActions } from "./account-actions";
import { AccountState } from "./account-state";
import { Admitted } from "./admitted";
import { Events } from "./events";
import { useAdministrationWords } from "./language";
import { Table, type Column } from "./table";

type Session = AccountDetails["sessions"][number];

export function UserPage() {
  const { user: words } = useAdministrationWords();
  const { id = "" } = useParams();
  const [done, setDone] = useState("");
  const loaded = useLoaded(`user ${id}`, (signal) =>
    data(identity.api.GET("/api/admin/users/{user_id}/", { params: { path: { user_id: id } }, signal })),
  );

  function afterAct(message: string) {
    setDone(message);
    loaded.reload();
    focusHeading(); // the button that was pressed may be gone
  }

  const back = <Link to="/admin/users">{words.back}</Link>;
  if (isRefusal(loaded.error, 404)) {
    return <CardPage title={words.notFound.title} intro={words.notFound.text} footer={back} />;
  }
  const title = loaded.data ? words.title(loaded.data.account.username) : words.untitled;
  return (
    <Page title={title} intro={back}>
      {done && <Notice kind="done">{done}</Notice>}
      <Admitted of={loaded}>
        {({ account, sessions, events }) => (
          <>
            <Facts account={account} />
            <section className="card" aria-labelledby="actions">
              <h2 id="actions">{words.actions}</h2>
              <AccountActions account={account} onDone={afterAct} />
            </section>
            <section aria-labelledby="sessions">
              <h2 id="sessions">{words.sessions}</h2>
              {sessions.length > 0 ? <Sessions sessions={sessions} /> : <p className="quiet">{words.noSessions}</p>}
            </section>
            <section aria-labelledby="events">
              <h2 id="events">{words.events}</h2>
              <Events events={events} caption={words.events} />
              <p>
                <Link to={`/admin/audit?user=${account.id}`}>{words.allEvents}</Link>
              </p>
            </section>
          </>
        )}
      </Admitted>
    </Page>
  );
}

function Facts({ account }: { account: Account }) {
  const { user: words, users } = useAdministrationWords();
  const { never, no } = useWords();
  const { time } = useTimes();
  const facts: [string, string][] = [
    [words.id, String(account.id)],
    ...(account.display_name ? [[words.displayName, account.display_name] as [string, string]] : []),
    [words.email, account.email],
    [words.verifiedAt, account.email_verified_at ? time(account.email_verified_at) : no],
    [words.joined, time(account.date_joined)],
    [words.passwordChanged, time(account.last_updated)],
    [words.lastLogin, account.last_login_at ? time(account.last_login_at) : never],
    ...(
      [
        [words.superuserSince, account.superuser_since],
        [words.disabledAt, account.disabled_at],
        [words.erasureDue, account.erasure_due_at],
      ] as const
    ).flatMap(([name, at]): [string, string][] => (at ? [[name, time(at)]] : [])),
  ];
  return (
    <section className="card">
      <dl className="facts">
        <dt>{users.state}</dt>
        <dd>
          <AccountState account={account} />
        </dd>
        {facts.map(([name, value]) => (
          <div key={name} className="fact">
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Sessions({ sessions }: { sessions: Session[] }) {
  const { user: words } = useAdministrationWords();
  const { device, sessions: own } = useWords();
  const { time } = useTimes();
  const columns: Column<Session>[] = [
    {
      title: words.program,
      cell(session) {
        const { browser, system } = deviceOf(session.user_agent);
        return <span title={session.user_agent}>{browser ? device(browser, system) : own.unknown}</span>;
      },
    },
    { title: words.address, cell: (session) => session.address },
    { title: words.lastUsed, isShort: true, cell: (session) => time(session.last_used_at) },
    {
      title: words.sessionState,
      cell: (session) => (
        <span className={session.is_over ? "badge" : "badge badge-good"}>
          {session.is_over ? words.sessionOver : words.sessionOpen}
        </span>
      ),
    },
  ];
  return <Table caption={words.sessions} columns={columns} rows={sessions} keyOf={(each) => each.id} />;
}
