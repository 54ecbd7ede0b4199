import { afterEach, beforeEach, expect, test, vi } from "vitest";
import * as service from "./service";
import { PROFILE, profile, REFRESH, Service, settled } from "./service";

const john = { username: "1", password: "right" };

beforeEach(() => service.stubLocks());
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

async function loggedIn() {
  const server = new Service();
  const browser = service.browser(server);
  const tab = browser.tab();
  await tab.login(john);
  return { server, browser, tab };
}

test("a browser that lets a page keep nothing, nor have locks or channels, lets it log in", async () => {
  const denied = () => {
    throw new DOMException("The request was denied.", "SecurityError");
  };
  vi.stubGlobal("navigator", { locks: { request: async () => denied() } });
  vi.stubGlobal("BroadcastChannel", denied);
  const server = new Service();
  const tab = service.browser(server).tab({ storage: undefined! });
  await tab.login(john);
  server.voidAccess();
  expect((await profile(tab)).data?.id).toBe(1);
  await tab.logout();
  expect(server.sessions.size).toBe(0);
});

test("a tab that hangs while it has the lock does not keep the others waiting for ever", async () => {
  const { server, browser, tab } = await loggedIn();
  void navigator.locks.request(`identity:${browser.baseUrl}`, {}, () => new Promise(() => {}));
  server.voidAccess();
  const timeout = vi.spyOn(AbortSignal, "timeout");
  timeout.mockReturnValueOnce(AbortSignal.abort(new DOMException("too late", "TimeoutError")));
  expect((await profile(tab)).data?.id).toBe(1);
  server.voidAccess();
  expect((await profile(tab)).data?.id).toBe(1);
  expect(timeout.mock.calls).toEqual([[25_000], [20_000], [20_000]]); // the lock is waited for once
});

test("what fails in its turn fails once", async () => {
  const { server, tab } = await loggedIn();
  server.voidAccess();
  server.answerWith(REFRESH, service.offline);
  await expect(profile(tab)).rejects.toMatchObject({ kind: "network" });
  expect(server.count(REFRESH)).toBe(1);
});

test.each([
  ["a page", () => new Response("<html>Log in to the hotel's network", { status: 401 })],
  ["JSON of its own", () => service.json(401, { message: "Unauthorized" })],
])("a proxy's 401 with %s does not end the session", async (_, answer) => {
  const { server, browser, tab } = await loggedIn();
  server.voidAccess();
  server.answerWith(REFRESH, answer);
  await expect(profile(tab)).rejects.toMatchObject({ kind: "network", status: 401 });
  expect(tab.session.status).toBe("authenticated");
  expect(browser.storage.token).not.toBeNull();
  expect((await profile(tab)).data?.id).toBe(1);
});

test.each([
  [null],
  ["ended"],
  [{ type: "renamed", access: { token: "a.b.c" } }],
  [{ type: "began" }],
  [{ type: "began", access: { user: "2", session: "other" }, mode: "body" }],
])("%j is no message of this version, and changes nothing", async (message) => {
  const { server, browser, tab } = await loggedIn();
  const wrong: unknown[] = [];
  const note = (error: unknown) => void wrong.push(error);
  process.on("uncaughtException", note);
  const channel = new BroadcastChannel(`identity:${browser.baseUrl}`);
  channel.postMessage(message);
  await settled();
  channel.close();
  process.off("uncaughtException", note);
  expect(tab.session.user).toBe("1");
  expect((await profile(tab)).data?.id).toBe(1);
  expect([server.count(REFRESH), server.count(PROFILE), wrong]).toEqual([0, 1, []]);
});

test("a listener that throws does not keep a logout from ending the session, nor others from hearing of it", async () => {
  const { server, browser, tab } = await loggedIn();
  const reported = vi.fn();
  vi.stubGlobal("reportError", reported);
  tab.subscribe(() => {
    throw new Error("of the page");
  });
  const told = vi.fn();
  tab.subscribe(told);
  await tab.logout();
  expect([server.sessions.size, browser.storage.token, told.mock.calls.length]).toEqual([0, null, 1]);
  expect(reported.mock.calls).toEqual([[new Error("of the page")]]);
});

test.each([null, 5, "x", [], {}, { access: 5 }, { access: "" }])("%j is no token, and ends nothing", async (answer) => {
  const { server, tab } = await loggedIn();
  server.voidAccess();
  server.answerWith(REFRESH, () => service.json(200, answer));
  await expect(profile(tab)).rejects.toMatchObject({ kind: "network" });
  expect((await profile(tab)).data?.id).toBe(1);
});
