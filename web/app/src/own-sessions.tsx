import { data } from "identity-client";
import { useState } from "react";
import { deviceOf } from "./device";
import { identity, logOut, patience, type OwnSession } from "./identity";
import { useWords } from "./language";
import { ConfirmButton } from "./layout/confirm";
import { Loading, useLoaded } from "./layout/loading";
import { focusHeading, Notice, Page } from "./layout/page";
import { isRefusal } from "./refusal";
import { useTimes } from "./times";

export function OwnSessionsPage() {
  const { sessions: words } = useWords();
  const [ended, setEnded] = useState("");
  const loaded = useLoaded("sessions", (signal) => data(identity.api.GET("/api/user/sessions/", { signal })));

  function afterEnding(message: string) {
    setEnded(message);
    loaded.reload();
    focusHeading(); // the button that was pressed is gone
  }

  return (
    <Page title={words.title} intro={words.text}>
      <Loading of={loaded}>
        {(sessions) => (
          <>
            {ended && <Notice kind="done">{ended}</Notice>}
            <ul className="cards">
              {sessions.map((session) => (
                <SessionCard key={session.id} session={session} onEnded={() => afterEnding(words.ended)} />
              ))}
            </ul>
            {sessions.length === 1 && <p className="quiet">{words.alone}</p>}
            <div className="actions">
              {sessions.length > 1 && (
                <ConfirmButton
                  label={words.endOthers}
                  title={words.endOthers}
                  text={words.endOthersText}
                  onConfirm={async () => {
                    await identity.api.POST("/api/user/sessions/revoke-others/", { signal: patience() });
                  }}
                  onDone={() => afterEnding(words.othersEnded)}
                />
              )}
              <ConfirmButton
                label={words.endAll}
                title={words.endAll}
                text={words.endAllText}
                isDangerous
                onConfirm={async () => {
                  await identity.api.POST("/api/auth/logout-all/", { signal: patience() });
                }}
                onDone={() => void logOut()}
              />
            </div>
          </>
        )}
      </Loading>
    </Page>
  );
}

function SessionCard({ session, onEnded }: { session: OwnSession; onEnded(): void }) {
  const words = useWords();
  const { time } = useTimes();
  const { browser, system } = deviceOf(session.user_agent);
  const device = browser ? words.device(browser, system) : words.sessions.unknown;

  async function end() {
    try {
      await identity.api.DELETE("/api/user/sessions/{session_id}/", {
        params: { path: { session_id: session.id } },
        signal: patience(),
      });
    } catch (error) {
      if (!isRefusal(error, 404)) throw error; // it is over already
    }
  }

  return (
    <li className="card">
      <h2 title={session.user_agent}>
        {device} {session.is_current && <span className="badge badge-good">{words.sessions.current}</span>}
      </h2>
      <dl className="facts">
        <dt>{words.sessions.lastUsed}</dt>
        <dd>{time(session.last_used_at)}</dd>
        <dt>{words.sessions.since}</dt>
        <dd>{time(session.created_at)}</dd>
        <dt>{words.sessions.address}</dt>
        <dd>{session.address}</dd>
      </dl>
      {!session.is_current && (
        <ConfirmButton
          label={words.sessions.end}
          accessibleLabel={words.sessions.endNamed(device)}
          title={words.sessions.endTitle}
          text={words.sessions.endText(device)}
          onConfirm={end}
          onDone={onEnded}
        />
      )}
    </li>
  );
}
