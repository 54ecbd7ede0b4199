import { IdentityError, refusal, unreachable } from "./errors";

const MOST_REPEATS = 2;
const MOST_WAITING = 10; // seconds in all; who is told to wait for longer had better tell a person

export type Fetch = typeof globalThis.fetch;

/**
 * The answer of the service, if it is a good one; its body is there and is JSON. Throws `IdentityError`, or what
 * the request was aborted with.
 */
export async function send(request: Request, fetch: Fetch, now: () => number): Promise<Response> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(request);
    text = await response.text();
  } catch (error) {
    if (request.signal.aborted && !isTimeout(request.signal.reason)) throw error;
    throw unreachable(error);
  }
  const answer = parsed(text);
  if (!response.ok || (answer === undefined && text !== "")) throw refusal(response, answer, now());
  const { status, statusText, headers } = response;
  return new Response(text || null, { status, statusText, headers });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
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
