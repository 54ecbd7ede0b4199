import { Link, useSearchParams } from "react-router";
import { useAdministrationWords } from "./language";

/** Leads on through what is listed in pages, of which each names the next: `cursor` is the parameter that takes it. */
export function Pages({ cursor, next }: { cursor: string; next: string | number | null }) {
  const words = useAdministrationWords();
  const [parameters] = useSearchParams();
  const withCursor = (value: string | number | null) => {
    const changed = new URLSearchParams(parameters);
    changed.delete(cursor);
    if (value !== null) changed.set(cursor, String(value));
    return `?${changed}`;
  };
  if (next === null && !parameters.has(cursor)) return null;
  return (
    <p className="pages">
      {parameters.has(cursor) && <Link to={withCursor(null)}>{words.first}</Link>}
      {next !== null && <Link to={withCursor(next)}>{words.next}</Link>}
    </p>
  );
}
