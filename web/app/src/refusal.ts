import { IdentityError } from "identity-client";
import type { Words } from "./language";
import { inWords } from "./language/durations";

/** The seconds to wait before another try makes sense; `null` where it may be now. */
export function waitOf(error: unknown): number | null {
  return error instanceof IdentityError && error.status === 429 ? Math.max(1, error.retryAfter ?? 60) : null;
}

export function isRefusal(error: unknown, status: number, code?: string): boolean {
  return error instanceof IdentityError && error.status === status && (code === undefined || error.code === code);
}

/** Whether the same again may go well, without anybody doing anything about it. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof IdentityError)) return true;
  return error.status === 0 || error.status === 408 || error.status === 429 || error.status >= 500;
}

function isTimeout(error: unknown): boolean {
  const causes = [error, error instanceof Error ? error.cause : null];
  return causes.some((each) => each instanceof DOMException && each.name === "TimeoutError");
}

/** What a person is told of a failure, where the page has no words of its own for it. */
export function wordsOf(error: unknown, words: Words, online: boolean = navigator.onLine): string {
  const say = words.refusal;
  if (isTimeout(error)) return say.timeout;
  if (!(error instanceof IdentityError)) return say.failed;
  if (error.kind === "network") return online ? say.unreachable : say.offline;
  if (error.code === "login_too_old") return say.loginTooOld;
  if (error.kind === "fields") return say.notUnderstood; // where there is no form to show it at a field
  switch (error.status) {
    case 401:
      return say.sessionOver;
    case 403:
      return say.notPermitted;
    case 404:
      return say.notFound;
    case 408:
      return say.timeout;
    case 429:
      return say.throttled(inWords(waitOf(error) ?? 60, words));
    case 502:
    case 504:
      return say.unreachable;
    case 503:
      return say.unavailable;
  }
  return error.requestId ? `${say.failed} ${say.number(error.requestId)}` : say.failed;
}
