import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { IdentityError } from "../src";
import { browser, json, LOGIN, offline, Service, unavailable } from "./service";

const HEALTH = "GET /health/live";

beforeEach(() => vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: Date.UTC(2026, 0, 1) }));
afterEach(() => vi.useRealTimers());

function asked(...answers: (() => Response | Promise<Response>)[]) {
  const server = new Service();
  server.answerWith(HEALTH, ...answers);
  const ask = async (signal?: AbortSignal) => {
    const asking = browser(server)
      .tab()
      .api.GET("/health/live", signal ? { signal } : {})
      .then(
        ({ data }) => data,
        (error: unknown) => error,
      );
    return ended(asking);
  };
  return { server, ask };
}

/** Turns the clock until `work` has ended; what is no timer goes by itself. */
async function ended<T>(work: Promise<T>): Promise<T> {
  let isOver = false;
  void work.finally(() => (isOver = true));
  while (!isOver) {
    await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(100);
  }
  return work;
}

async function refusal(answer: () => Response): Promise<IdentityError> {
  const error = await asked(answer).ask();
  expect(error).toBeInstanceOf(IdentityError);
  return error as IdentityError;
}

const nothing = { code: null, fields: {}, retryAfter: null, requestId: null };

test.each([
  [
    "fields",
    json(400, { username: ["This field is required."], email: ["Enter a valid email address.", "Too long."] }),
    {
      kind: "fields",
      status: 400,
      message: "This field is required.",
      fields: { username: ["This field is required."], email: ["Enter a valid email address.", "Too long."] },
    },
  ],
  ["a detail", json(404, { detail: "Not found." }), { kind: "detail", status: 404, message: "Not found." }],
  [
    "a detail with a code",
    json(403, { detail: "Log in again to continue.", code: "login_too_old" }),
    { kind: "detail", status: 403, message: "Log in again to continue.", code: "login_too_old" },
  ],
  [
    "an error",
    json(400, { error: "Invalid or expired token." }),
    { kind: "error", status: 400, message: "Invalid or expired token." },
  ],
  [
    "a failure with its number",
    json(500, { detail: "Internal server error.", code: "internal_error", request_id: "5f0c" }),
    { kind: "detail", status: 500, message: "Internal server error.", code: "internal_error", requestId: "5f0c" },
  ],
  [
    "a throttled request",
    json(429, { detail: "Request was throttled." }, { "Retry-After": "60", "X-Request-ID": "77" }),
    { kind: "detail", status: 429, message: "Request was throttled.", retryAfter: 60, requestId: "77" },
  ],
])("%s becomes an error", async (_, answer, expected) => {
  const error = await refusal(() => answer);
  expect({ ...error, message: error.message }).toEqual({ name: "IdentityError", ...nothing, ...expected });
});

test.each([
  ["a page of a proxy", 502, "<html><body>Bad Gateway</body></html>"],
  ["a page instead of the API", 200, "<!doctype html>"],
  ["half an answer", 200, '{"status": "li'],
  ["nothing", 500, ""],
  ["a list", 400, "[1]"],
  ["null", 400, "null"],
  ["a number", 400, '{"username": 3, "email": {"a": 1}, "password": [], "locale": [7]}'],
])("%s is not an answer of the service", async (_, status, body) => {
  expect(await refusal(() => new Response(body, { status }))).toMatchObject({ kind: "network", status, ...nothing });
});

test("a failure of the network becomes an error that keeps its cause", async () => {
  const error = await asked(offline).ask();
  expect(error).toMatchObject({ kind: "network", status: 0, ...nothing, cause: expect.any(TypeError) });
});

test("a field may have any name, and messages that are none are left out", async () => {
  const { fields } = await refusal(
    () => new Response('{"__proto__": ["a"], "constructor": ["b", 7], "detail": ["c"], "x": "d"}', { status: 400 }),
  );
  expect(Object.entries(fields)).toEqual([
    ["__proto__", ["a"]],
    ["constructor", ["b"]],
    ["detail", ["c"]],
  ]);
  expect(fields["toString"]).toBeUndefined();
  expect(({} as Record<string, unknown>)["0"]).toBeUndefined();
});

test.each([
  ["7", 7],
  ["0", 0],
  ["9".repeat(400), 31_536_000],
  ["Thu, 01 Jan 2026 00:01:30 GMT", 90],
  ["Wed, 31 Dec 2025 00:00:00 GMT", 0],
  ["Fri, 01 Jan 9999 00:00:00 GMT", 31_536_000],
  ["-1", null],
  ["1.5", null],
  ["soon", null],
  ["soon GMT", null],
  ["", null],
])("Retry-After: %s", async (header, seconds) => {
  expect((await refusal(() => json(429, { detail: "" }, { "Retry-After": header }))).retryAfter).toBe(seconds);
});

test("a Retry-After that is a date is reckoned from the date of the answer", async () => {
  const headers = { "Retry-After": "Thu, 01 Jan 2026 09:01:30 GMT", Date: "Thu, 01 Jan 2026 09:00:00 GMT" };
  expect((await refusal(() => json(429, { detail: "" }, headers))).retryAfter).toBe(90);
});

test("what is safe is asked again when and as often as a 503 allows", async () => {
  const { server, ask } = asked(
    () => unavailable("4"),
    () => unavailable("6"),
    () => json(200, { status: "live" }),
  );
  const begun = Date.now();
  server.answerWith(HEALTH, () => {
    throw new Error("asked once more");
  });
  expect(await ask()).toEqual({ status: "live" });
  expect(server.count(HEALTH)).toBe(3);
  expect(Date.now() - begun).toBeGreaterThanOrEqual(10_000);
  expect(Date.now() - begun).toBeLessThan(15_000);
});

test.each([
  ["a third time", ["1", "1", "1"], 1],
  ["for longer than ten seconds", ["11"], 11],
  ["for longer than ten seconds in all", ["6", "6"], 6],
  ["for a year", ["9".repeat(30)], 31_536_000],
  ["without a Retry-After", [null], null],
])("nobody waits %s", async (_, answers, retryAfter) => {
  const { server, ask } = asked(...answers.map((each) => () => unavailable(each)));
  expect(await ask()).toMatchObject({ status: 503, retryAfter });
  expect(server.count(HEALTH)).toBe(answers.length);
});

test("what changes something is not asked again: it may have been done", async () => {
  const server = new Service();
  const path = "POST /api/auth/register/";
  server.answerWith(path, unavailable);
  const body = { username: "john_doe", email: "john@example.com", password: "yourpassword123" };
  const registering = browser(server).tab().api.POST("/api/auth/register/", { body });
  await expect(registering).rejects.toMatchObject({ status: 503, retryAfter: 1 });
  expect(server.count(path)).toBe(1);
});

test("a login is asked again, for a second session does no harm", async () => {
  const server = new Service();
  server.answerWith(LOGIN, unavailable, unavailable);
  const tab = browser(server).tab();
  await ended(tab.login({ username: "1", password: "right" }));
  expect([server.count(LOGIN), tab.session.user]).toEqual([3, "1"]);
});

test("waiting ends when the request is aborted", async () => {
  const { server, ask } = asked(() => unavailable("10"));
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 2000);
  expect(await ask(controller.signal)).toMatchObject({ name: "AbortError" });
  expect(server.count(HEALTH)).toBe(1);
});

test("a request that its page aborts is no failure, one that it limits is", async () => {
  const controller = new AbortController();
  const { ask } = asked(() => new Promise(() => {}));
  setTimeout(() => controller.abort(), 1000);
  expect(await ask(controller.signal)).toMatchObject({ name: "AbortError" });
  const { ask: limited } = asked(() => new Promise(() => {}));
  const late = new AbortController();
  setTimeout(() => late.abort(new DOMException("too late", "TimeoutError")), 1000);
  expect(await limited(late.signal)).toMatchObject({ kind: "network", status: 0 });
});
