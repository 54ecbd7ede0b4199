import { useCallback, useEffect, useRef, useState, type ReactNode } from "react";
import { useCountdown } from "../form/countdown";
import { useElapsed } from "../form/elapsed";
import { patience, useSession } from "../identity";
import { useWords } from "../language";
import { inWords } from "../language/durations";
import { isPassing, isRefusal, waitOf, wordsOf } from "../refusal";

export interface Loaded<T> {
  data: T | undefined;
  error: unknown;
  isLoading: boolean;
  reload(): void;
}

interface State<T> {
  key: string;
  data?: T;
  error?: unknown;
}

/** What was loaded before stays, if it is to be kept and has just been asked for again. */
export function failed<T>(before: State<T>, key: string, error: unknown, keeps: boolean): State<T> {
  return keeps && before.key === key ? { ...before, error } : { key, error };
}

/** Loads what `key` names, and again when that changes. `keeps`: what was loaded is shown until the next is there. */
export function useLoaded<T>(
  key: string,
  load: (signal: AbortSignal) => Promise<T>,
  { keeps = false }: { keeps?: boolean } = {},
): Loaded<T> {
  const [state, setState] = useState<State<T>>({ key: "" });
  const [isLoading, setLoading] = useState(true);
  const [attempt, setAttempt] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    const leaving = new AbortController();
    setLoading(true);
    latest
      .current(patience(leaving.signal))
      .then(
        (data) => !leaving.signal.aborted && setState({ key, data }),
        (error: unknown) => !leaving.signal.aborted && setState((before) => failed(before, key, error, keeps)),
      )
      .finally(() => !leaving.signal.aborted && setLoading(false));
    return () => leaving.abort();
  }, [key, attempt]);
  const reload = useCallback(() => setAttempt((before) => before + 1), []);
  const { status } = useSession();
  useEffect(() => {
    // Under the page that asked for a login, which is over now.
    if (status === "authenticated" && isRefusal(state.error, 401)) reload();
  }, [status]);
  const isOfThis = state.key === key;
  return {
    data: isOfThis || keeps ? state.data : undefined,
    error: isOfThis && !isLoading ? state.error : undefined,
    isLoading: isLoading || !isOfThis,
    reload,
  };
}

/** What was loaded, or where that stands. */
export function Loading<T>({ of, children }: { of: Loaded<T>; children: (data: T) => ReactNode }) {
  if (of.error !== undefined) return <Failure error={of.error} retry={of.reload} />;
  if (of.data === undefined) return <Waiting />;
  return <div className="loaded" aria-busy={of.isLoading}>{children(of.data)}</div>;
}

export function Waiting() {
  const words = useWords();
  const elapsed = useElapsed(true);
  return (
    <p role="status" className="waiting">
      {elapsed === "noticeable" && words.loading.now}
      {elapsed === "long" && words.loading.slow}
    </p>
  );
}

export function Failure({ error, retry }: { error: unknown; retry(): void }) {
  const words = useWords();
  const { left, start } = useCountdown();
  const wait = waitOf(error);
  useEffect(() => {
    if (wait !== null) start(wait);
  }, [error]);
  return (
    <div role="alert" className="notice notice-wrong">
      <p>
        <strong>{words.loading.failed}</strong>
      </p>
      <p>{wordsOf(error, words)}</p>
      {isPassing(error) && (
        <button type="button" className="button button-quiet" disabled={left > 0} onClick={retry}>
          {left > 0 ? words.sending.againIn(inWords(left, words)) : words.loading.again}
        </button>
      )}
    </div>
  );
}
