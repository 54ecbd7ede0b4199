export type Kind = "fields" | "detail" | "error" | "network";

interface Description {
  kind: Kind;
  message: string;
  status?: number;
  code?: string | null;
  fields?: Record<string, string[]>;
  retryAfter?: number | null;
  requestId?: string | null;
}

/** Whatever is not the answer that was asked for. See the table in the README. */
export class IdentityError extends Error {
  override readonly name = "IdentityError";
  /** Which of the contract's envelopes it came in; "network" is an answer of somebody else's, or none. */
  readonly kind: Kind;
  /** Of HTTP; 0 where there was no answer. */
  readonly status: number;
  /** Such as "token_not_valid", for programs. */
  readonly code: string | null;
  /** What is wrong with which field. Has no prototype: a field may have any name. */
  readonly fields: Record<string, string[]>;
  /** In how many seconds to try again, at most a year. */
  readonly retryAfter: number | null;
  /** Names the request in the log of the service. */
  readonly requestId: string | null;

  constructor(description: Description, options?: ErrorOptions) {
    super(description.message, options);
    this.kind = description.kind;
    this.status = description.status ?? 0;
    this.code = description.code ?? null;
    this.fields = description.fields ?? Object.create(null);
    this.retryAfter = description.retryAfter ?? null;
    this.requestId = description.requestId ?? null;
  }
}

/** Somebody else has logged in, in this tab or another, while a request of the one before was under way. */
export function switched(): IdentityError {
  return new IdentityError({
    kind: "detail",
    status: 401,
    code: "session_switched",
    message: "Somebody else has logged in meanwhile.",
  });
}

export function unreachable(cause: unknown): IdentityError {
  return new IdentityError({ kind: "network", message: "The service cannot be reached." }, { cause });
}

/**
 * @param answer the body, as JSON; undefined where it is none.
 * @param now of the local clock, in milliseconds.
 */
export function refusal(response: Response, answer: unknown, now: number): IdentityError {
  const body = isObject(answer) ? answer : {};
  const common = {
    status: response.status,
    retryAfter: secondsUntil(response.headers.get("Retry-After"), response.headers.get("Date"), now),
    requestId: response.headers.get("X-Request-ID") ?? text(body["request_id"]),
  };
  const detail = text(body["detail"]);
  if (detail !== null) {
    return new IdentityError({ ...common, kind: "detail", message: detail, code: text(body["code"]) });
  }
  const error = text(body["error"]);
  if (error !== null) return new IdentityError({ ...common, kind: "error", message: error });
  const fields = fieldsIn(body);
  const message = Object.values(fields)[0]?.[0];
  if (message !== undefined) return new IdentityError({ ...common, kind: "fields", message, fields });
  return new IdentityError({
    ...common,
    kind: "network",
    message: `Something else than the service answered, with status ${response.status}.`,
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function fieldsIn(body: Record<string, unknown>): Record<string, string[]> {
  const fields = Object.entries(body).flatMap(([name, messages]) => {
    const texts = Array.isArray(messages) ? messages.filter((each) => typeof each === "string") : [];
    return texts.length > 0 ? [[name, texts] as const] : [];
  });
  return Object.setPrototypeOf(Object.fromEntries(fields), null);
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

const YEAR = 365 * 24 * 3600;

/** A date is reckoned from the date of the answer, if that can be read: the local clock may be wrong. */
function secondsUntil(retryAfter: string | null, date: string | null, now: number): number | null {
  if (retryAfter === null) return null;
  const seconds = /^\d+$/.test(retryAfter)
    ? Number(retryAfter)
    : Math.ceil((httpDate(retryAfter) - (httpDate(date) || now)) / 1000);
  return Number.isNaN(seconds) ? null : Math.min(Math.max(seconds, 0), YEAR);
}

function httpDate(value: string | null): number {
  return value?.endsWith(" GMT") ? Date.parse(value) : NaN;
}
