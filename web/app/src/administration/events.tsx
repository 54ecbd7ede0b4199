import { Link } from "react-router";
import { deviceOf } from "../device";
import type { AuditedEvent } from "../identity";
import { useWords } from "../language";
import { useTimes } from "../times";
import { nameOf, useAdministrationWords } from "./language";
import { Table, type Column } from "./table";

export function Events({ events, caption }: { events: AuditedEvent[]; caption: string }) {
  const { audit: words, events: kinds } = useAdministrationWords();
  const { time } = useTimes();
  const columns: Column<AuditedEvent>[] = [
    { title: words.at, isShort: true, cell: (event) => <span title={words.request(event.request_id)}>{time(event.at)}</span> },
    {
      title: words.kind,
      cell: (event) => (
        <>
          <span className={event.result === "refused" ? "badge badge-warning" : undefined}>
            {nameOf(kinds, event.kind)}
          </span>{" "}
          {event.subject && <span className="quiet">{event.subject}</span>}
        </>
      ),
    },
    {
      title: words.whom,
      cell: (event) => (event.user_id === null ? "–" : <Link to={`/admin/users/${event.user_id}`}>{event.user_id}</Link>),
    },
    { title: words.who, cell: (event) => <Actor event={event} /> },
    { title: words.where, cell: (event) => <Origin event={event} /> },
  ];
  return <Table caption={caption} columns={columns} rows={events} keyOf={(event) => event.id} />;
}

function Actor({ event }: { event: AuditedEvent }) {
  const { actors, audit } = useAdministrationWords();
  return (
    <>
      {nameOf(actors, event.actor)}{" "}
      {event.actor_id !== null && <Link to={`/admin/users/${event.actor_id}`}>({audit.account(event.actor_id)})</Link>}
    </>
  );
}

function Origin({ event }: { event: AuditedEvent }) {
  const { device } = useWords();
  const { browser, system } = deviceOf(event.user_agent);
  if (!event.address && !browser) return "–";
  return (
    <span title={event.user_agent}>
      {event.address} <span className="quiet">{browser && device(browser, system)}</span>
    </span>
  );
}
