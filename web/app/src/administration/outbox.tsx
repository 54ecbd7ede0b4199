import { data } from "identity-client";
import { useState } from "react";
import { Link, useSearchParams } from "react-router";
import { Form } from "../form/form";
import { identity, patience, type QueuedLetter } from "../identity";
import { useLoaded } from "../layout/loading";
import { focusHeading, Notice, Page } from "../layout/page";
import { isRefusal } from "../refusal";
import { useTimes } from "../times";
import { Admitted } from "./admitted";
import { nameOf, useAdministrationWords } from "./language";
import { Pages } from "./pages";
import { Table, type Column } from "./table";

const IN_A_PAGE = 50;

export function OutboxPage() {
  const { outbox: words, ...all } = useAdministrationWords();
  const [parameters] = useSearchParams();
  const [done, setDone] = useState("");
  const state = parameters.get("state") === "dead" ? "dead" : "waiting";
  const after = parameters.get("after") ?? "";
  const loaded = useLoaded(`outbox ${state} ${after}`, (signal) =>
    data(identity.api.GET("/api/admin/outbox/", { params: { query: { state, after, limit: IN_A_PAGE } }, signal })),
  );

  function afterRetry(message: string) {
    setDone(message);
    loaded.reload();
    focusHeading(); // the button that was pressed is gone
  }

  return (
    <Page title={words.title}>
      <div className="actions">
        <nav className="choices" aria-label={words.which}>
          <Link to="?state=waiting" aria-current={state === "waiting" ? "page" : undefined}>
            {words.waiting}
          </Link>
          <Link to="?state=dead" aria-current={state === "dead" ? "page" : undefined}>
            {words.dead}
          </Link>
        </nav>
        <button type="button" className="button button-quiet" onClick={loaded.reload}>
          {all.refresh}
        </button>
      </div>
      {done && <Notice kind="done">{done}</Notice>}
      <Admitted of={loaded}>
        {({ letters, next }) => (
          <>
            {letters.length > 0 ? (
              <Letters letters={letters} isDead={state === "dead"} onRetried={afterRetry} />
            ) : (
              <p role="status">{state === "dead" ? words.noneDead : words.noneWaiting}</p>
            )}
            <Pages cursor="after" next={next} />
          </>
        )}
      </Admitted>
    </Page>
  );
}

interface LettersProps {
  letters: QueuedLetter[];
  isDead: boolean;
  onRetried(message: string): void;
}

function Letters({ letters, isDead, onRetried }: LettersProps) {
  const { outbox: words, mails, audit } = useAdministrationWords();
  const { time } = useTimes();
  const columns: Column<QueuedLetter>[] = [
    { title: words.kind, cell: (letter) => nameOf(mails, letter.kind) },
    {
      title: words.reader,
      cell: (letter) =>
        letter.user_id === null ? (
          (letter.email ?? "–")
        ) : (
          <Link to={`/admin/users/${letter.user_id}`}>{audit.account(letter.user_id)}</Link>
        ),
    },
    { title: words.created, cell: (letter) => time(letter.created_at) },
    isDead
      ? { title: words.deadAt, cell: (letter) => (letter.dead_at ? time(letter.dead_at) : "–") }
      : { title: words.due, cell: (letter) => time(letter.due_at) },
    { title: words.attempts, cell: (letter) => letter.attempts },
    { title: words.error, cell: (letter) => letter.error ?? "–" },
    ...(isDead
      ? [{ title: words.retry, cell: (letter: QueuedLetter) => <Retry letter={letter} onRetried={onRetried} /> }]
      : []),
  ];
  return (
    <Table caption={isDead ? words.dead : words.waiting} columns={columns} rows={letters} keyOf={(letter) => letter.id} />
  );
}

function Retry({ letter, onRetried }: { letter: QueuedLetter; onRetried(message: string): void }) {
  const { outbox: words, mails, audit } = useAdministrationWords();
  const reader = letter.user_id === null ? (letter.email ?? "") : audit.account(letter.user_id);

  async function retry() {
    try {
      const params = { path: { letter_id: letter.id } };
      await identity.api.POST("/api/admin/outbox/{letter_id}/retry/", { params, signal: patience() });
    } catch (error) {
      if (!isRefusal(error, 404)) throw error;
      return onRetried(words.gone);
    }
    onRetried(words.retried);
  }

  return <Form submit={words.retry} submitLabel={words.retryNamed(nameOf(mails, letter.kind), reader)} onSubmit={retry} />;
}
