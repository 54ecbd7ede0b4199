import { IdentityError } from "identity-client";
import { expect, test } from "vitest";
import { en } from "./language/en";
import { isPassing, waitOf, wordsOf } from "./refusal";

type Description = ConstructorParameters<typeof IdentityError>[0];
const refused = (description: Partial<Description>, options?: ErrorOptions) =>
  new IdentityError({ kind: "detail", message: "told to programs", ...description }, options);

const say = en.refusal;

test.each([
  [refused({ kind: "network" }), say.unreachable],
  [refused({ kind: "network", status: 502 }), say.unreachable],
  [refused({ status: 408 }), say.timeout],
  [refused({ status: 503, retryAfter: 3 }), say.unavailable],
  [refused({ kind: "fields", status: 400, requestId: "5f0c61f2" }), say.notUnderstood],
  [refused({ status: 401, code: "token_not_valid" }), say.sessionOver],
  [refused({ status: 403 }), say.notPermitted],
  [refused({ status: 403, code: "login_too_old" }), say.loginTooOld],
  [refused({ status: 404 }), say.notFound],
  [refused({ status: 429, retryAfter: 900 }), say.throttled("15 minutes")],
  [refused({ status: 429 }), say.throttled("60 seconds")],
  [refused({ status: 500, requestId: "5f0c61f2" }), `${say.failed} ${say.number("5f0c61f2")}`],
  [refused({ status: 418 }), say.failed],
  [new TypeError("a mistake of ours"), say.failed],
])("what a person is told of %o", (error, words) => {
  expect(wordsOf(error, en, true)).toBe(words);
});

test("without a network it is the network's fault", () => {
  expect(wordsOf(refused({ kind: "network" }), en, false)).toBe(say.offline);
});

test("an answer that does not come is told from a server that is not there", () => {
  const timeout = new DOMException("signal timed out", "TimeoutError");
  expect(wordsOf(timeout, en, true)).toBe(say.timeout);
  expect(wordsOf(refused({ kind: "network" }, { cause: timeout }), en, true)).toBe(say.timeout);
});

test("only a throttled request has to wait, a second at least", () => {
  expect(waitOf(refused({ status: 429, retryAfter: 0 }))).toBe(1);
  expect(waitOf(refused({ status: 503, retryAfter: 9 }))).toBeNull();
  expect(waitOf(new Error())).toBeNull();
});

test("what will not pass by itself is not offered to be tried again", () => {
  expect([401, 403, 404].map((status) => isPassing(refused({ status })))).toEqual([false, false, false]);
  expect([0, 408, 429, 500, 503].every((status) => isPassing(refused({ status })))).toBe(true);
});
