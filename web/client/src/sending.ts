import { IdentityError, refusal, unreachable } from "./errors";

const MOST_REPEATS = 2;
const MOST_WAITING = 10; // seconds in all; who is told to wait for longer had better tell a person

export type Fetch = typeof globalThis.fetch;

/** The answer of the service, if it is a good one. Raises `IdentityError`, or what `signal` was aborted with. */
export async function send(request: Request, fetch: Fetch, now: () => number): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(request);
  } catch (error) {
    if (request.signal.aborted && !isTimeout(request.signal.reason)) throw error;
    throw unreachable(error);
  }
  const isJson = /^application\/(.+\+)?json\b/i.test(response.headers.get("Content-Type") ?? "");
  if (!response.ok || !isJson) throw await refusal(response, now());
  return response;
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === "TimeoutError";
}

/** Tries again what was answered 503 with a `Retry-After`, for work that does no harm when it is done twice. */
export async function repeating<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  let left = MOST_WAITING;
  for (let repeats = 0; ; repeats++) {
    try {
      return await work();
    } catch (error) {
      const wait = error instanceof IdentityError && error.status === 503 ? error.retryAfter : null;
      if (wait === null || wait > left || repeats === MOST_REPEATS) throw error;
      left -= wait;
      await abortable(new Promise((resolve) => setTimeout(resolve, wait * 1000)), signal);
    }
  }
}

/** Does not wait any longer once `signal` is aborted; what was waited for goes on. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
