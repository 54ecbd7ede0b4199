import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { IdentityError, type Identity } from "../src";
import * as service from "./service";
import { LOGIN, LOGOUT, offline, PROFILE, profile, REFRESH, Service, settled, unavailable } from "./service";

const john = { username: "1", password: "right" };
const jane = { username: "2", password: "right" };

beforeEach(() => service.stubLocks());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

function authorization(request: Request): string {
  return request.headers.get("Authorization") ?? "";
}

async function loggedIn(mode: "body" | "cookie" = "body") {
  const server = new Service(mode);
  const browser = service.browser(server);
  const tab = browser.tab();
  await tab.login(john);
  return { server, browser, tab };
}

function told(identity: Identity): (string | null)[] {
  const statuses: (string | null)[] = [];
  identity.subscribe(() => statuses.push(identity.session.user ?? identity.session.status));
  return statuses;
}

async function refusalOf(work: Promise<unknown>): Promise<IdentityError> {
  const error = await work.then(
    () => expect.fail("nothing was thrown"),
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(IdentityError);
  return error as IdentityError;
}

describe.each(["body", "cookie"] as const)("in %s mode", (mode) => {
  test("a burst with a refused token refreshes once, and repeats each request once", async () => {
    const { server, tab } = await loggedIn(mode);
    server.voidAccess();
    const answers = await Promise.all(Array.from({ length: 20 }, () => profile(tab)));
    expect(answers.map(({ data }) => data?.id)).toEqual(Array(20).fill(1));
    expect([server.count(REFRESH), server.count(PROFILE)]).toEqual([1, 40]);
  });

  test("a burst with a token that has run out refreshes once, and sends each request once", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const { server, tab } = await loggedIn(mode);
    vi.advanceTimersByTime(301_000);
    await Promise.all(Array.from({ length: 20 }, () => profile(tab)));
    expect([server.count(REFRESH), server.count(PROFILE)]).toEqual([1, 20]);
  });

  test("a 401 after the refresh is thrown", async () => {
    const { server, tab } = await loggedIn(mode);
    const refuse = () => service.tokenRefused("Given token not valid for any token type");
    server.answerWith(PROFILE, refuse, refuse, refuse);
    expect((await refusalOf(profile(tab))).code).toBe("token_not_valid");
    expect([server.count(REFRESH), server.count(PROFILE)]).toEqual([1, 2]);
    expect(tab.session.status).toBe("authenticated");
  });

  test("two tabs refresh once between them", async () => {
    const { server, browser, tab } = await loggedIn(mode);
    const other = browser.tab();
    await other.restore();
    await settled();
    server.log.length = 0;
    server.voidAccess();
    await Promise.all([profile(tab), profile(other), profile(tab), profile(other)]);
    expect(server.count(REFRESH)).toBe(1);
    expect(await tab.token()).toBe(await other.token());
  });

  test("two tabs refresh once between them though the news of it comes late", async () => {
    service.delayMessages(100);
    const { server, browser, tab } = await loggedIn(mode);
    const other = browser.tab();
    await other.restore();
    await new Promise((resolve) => setTimeout(resolve, 150));
    server.log.length = 0;
    server.voidAccess();
    await Promise.all([profile(tab), profile(other)]);
    expect(server.count(REFRESH)).toBe(1);
  });

  test("without Web Locks two tabs refresh twice at most, and both go on", async () => {
    vi.unstubAllGlobals();
    vi.stubGlobal("navigator", {});
    const { server, browser, tab } = await loggedIn(mode);
    const other = browser.tab();
    await other.restore();
    await settled();
    server.log.length = 0;
    server.voidAccess();
    const answers = await Promise.all([profile(tab), profile(other), profile(tab), profile(other)]);
    expect(answers.map(({ data }) => data?.id)).toEqual([1, 1, 1, 1]);
    expect(server.count(REFRESH)).toBeLessThanOrEqual(2);
  });

  test("a refused refresh ends the session in all tabs, and tells each once", async () => {
    const { server, browser, tab } = await loggedIn(mode);
    const other = browser.tab();
    await other.restore();
    await settled();
    const [mine, theirs] = [told(tab), told(other)];
    server.sessions.clear();
    const errors = await Promise.all(Array.from({ length: 5 }, () => refusalOf(profile(tab))));
    await settled();
    expect(errors.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401]);
    expect([mine, theirs]).toEqual([["anonymous"], ["anonymous"]]);
    expect(browser.storage.token).toBeNull();
    expect(await other.token()).toBeNull();
  });

  test.each([
    ["a network failure", offline],
    ["408", () => service.json(408, { detail: "The body did not arrive in time." })],
    ["429", () => service.json(429, { detail: "Request was throttled." }, { "Retry-After": "60" })],
    ["500", () => service.json(500, { detail: "Internal server error.", code: "internal_error" })],
    ["502 of a proxy", () => new Response("<html>", { status: 502 })],
    ["a page where the tokens should be", () => new Response("<html>", { status: 200 })],
    ["503 for long", () => unavailable("60")],
  ])("%s does not end the session", async (_, answer) => {
    const { server, tab } = await loggedIn(mode);
    server.voidAccess();
    server.answerWith(REFRESH, answer);
    const error = await refusalOf(profile(tab));
    expect(error.status).not.toBe(401);
    expect(tab.session.status).toBe("authenticated");
    expect((await profile(tab)).data?.id).toBe(1);
  });

  test("what is refused of a refresh before its time does no harm while the token lasts", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const { server, tab } = await loggedIn(mode);
    vi.advanceTimersByTime(280_000);
    server.answerWith(REFRESH, offline);
    expect((await profile(tab)).data?.id).toBe(1);
    expect((await profile(tab)).data?.id).toBe(1);
    expect(server.count(REFRESH)).toBe(2);
  });

  test.each([-9, 0, 9])("is refreshed shortly before its end with a clock %d hours off", async (hours) => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const server = new Service(mode);
    server.ahead = hours * 3600;
    const tab = service.browser(server).tab();
    await tab.login(john);
    vi.advanceTimersByTime(269_000);
    await profile(tab);
    expect(server.count(REFRESH)).toBe(0);
    vi.advanceTimersByTime(2_000);
    await profile(tab);
    expect([server.count(REFRESH), server.count(PROFILE)]).toEqual([1, 2]);
  });

  test("a reload finds the session", async () => {
    const { browser, server } = await loggedIn(mode);
    const reloaded = browser.tab();
    expect(reloaded.session).toEqual({ status: "unknown", user: null });
    expect(await reloaded.restore()).toEqual({ status: "authenticated", user: "1" });
    expect((await profile(reloaded)).data?.id).toBe(1);
    expect(server.count(REFRESH)).toBe(1);
  });

  test("a reload that cannot reach the service does not know, and finds the session later", async () => {
    const { browser, server } = await loggedIn(mode);
    const reloaded = browser.tab();
    server.answerWith(REFRESH, offline);
    expect((await refusalOf(reloaded.restore())).kind).toBe("network");
    expect(reloaded.session.status).toBe("unknown");
    expect((await reloaded.restore()).status).toBe("authenticated");
  });

  test("a first visit is anonymous, and asks once", async () => {
    const server = new Service(mode);
    const tab = service.browser(server).tab();
    expect(await Promise.all([tab.restore(), tab.restore(), tab.token()])).toEqual([
      { status: "anonymous", user: null },
      { status: "anonymous", user: null },
      null,
    ]);
    expect((await refusalOf(profile(tab))).message).toBe("Authentication credentials were not provided.");
    expect(server.count(REFRESH)).toBe(1);
  });

  test("a logout ends the other tabs", async () => {
    const { server, browser, tab } = await loggedIn(mode);
    const other = browser.tab();
    await other.restore();
    const theirs = told(other);
    const logout = tab.logout();
    expect(tab.session.status).toBe("anonymous");
    await logout;
    await settled();
    expect([theirs, other.session.status, server.sessions.size]).toEqual([["anonymous"], "anonymous", 0]);
    expect(browser.storage.token).toBeNull();
  });

  test("a login is adopted by the other tabs, one of somebody else too", async () => {
    const { server, browser, tab } = await loggedIn(mode);
    const other = browser.tab();
    await other.restore();
    const mine = told(tab);
    await other.login(jane);
    await settled();
    expect([mine, tab.session.user]).toEqual([["2"], "2"]);
    expect((await profile(tab)).data?.id).toBe(2);
    expect(server.sessions.size).toBe(2);
  });

  test("a request of somebody who was replaced meanwhile is not sent as the other", async () => {
    const { server, browser, tab } = await loggedIn(mode);
    const other = browser.tab();
    await other.restore();
    server.answerWith("POST /api/user/change-email/", async () => {
      await other.login(jane);
      await settled();
      return service.tokenRefused("Given token not valid for any token type");
    });
    const change = tab.api.POST("/api/user/change-email/", { body: { new_email: "a@example.com", password: "x" } });
    expect((await refusalOf(change)).code).toBe("session_switched");
    expect(server.count("POST /api/user/change-email/")).toBe(1);
  });

  test("an answer for somebody who was replaced meanwhile is not shown to the other", async () => {
    const { server, browser, tab } = await loggedIn(mode);
    server.answerWith(PROFILE, async () => {
      await browser.tab().login(jane);
      await settled();
      return service.json(200, { id: 1 });
    });
    expect((await refusalOf(profile(tab))).code).toBe("session_switched");
  });

  test("a refresh that finds somebody else's session does not go on with it", async () => {
    const { server, browser, tab } = await loggedIn(mode);
    const tokens = server.begin("2"); // by a tab of which this one has not heard
    if (mode === "body") browser.storage.token = tokens.refresh;
    server.voidAccess();
    expect((await refusalOf(profile(tab))).code).toBe("session_switched");
    expect(tab.session.user).toBe("2");
    expect(server.requests.filter((request) => authorization(request).includes(tokens.access))).toEqual([]);
  });

  test("an answer that comes after the logout does not bring the session back", async () => {
    const { server, browser, tab } = await loggedIn(mode);
    const stored = browser.storage.token;
    server.voidAccess();
    let logout: Promise<void> | undefined;
    server.during(REFRESH, () => void (logout = tab.logout()));
    await refusalOf(profile(tab));
    expect(tab.session.status).toBe("anonymous");
    await logout;
    await settled();
    expect([tab.session.status, browser.storage.token, server.sessions.size]).toEqual(["anonymous", null, 0]);
    expect(stored === null).toBe(mode === "cookie");
    expect(await tab.token()).toBeNull();
  });

  test("nor does one that comes to another tab", async () => {
    const { server, browser, tab } = await loggedIn(mode);
    const other = browser.tab();
    await other.restore();
    await settled();
    server.voidAccess();
    let logout: Promise<void> | undefined;
    server.during(REFRESH, () => void (logout = tab.logout()));
    await profile(other).catch(() => undefined);
    await logout;
    await settled();
    expect([tab.session.status, other.session.status, browser.storage.token]).toEqual([
      ...["anonymous", "anonymous"],
      null,
    ]);
  });

  test("a logout without the network is one all the same, after a reload too", async () => {
    const { server, browser, tab } = await loggedIn(mode);
    server.answerWith(LOGOUT, offline, offline);
    await tab.logout();
    expect(tab.session.status).toBe("anonymous");
    expect((await browser.tab().restore()).status).toBe("anonymous");
    expect((await browser.tab().restore()).status).toBe("anonymous");
    expect(server.sessions.size).toBe(mode === "cookie" ? 0 : 1); // that of the cookie has been ended since
    await tab.login(john);
    await settled();
    expect((await browser.tab().restore()).status).toBe("authenticated");
  });

  test("a login that follows a logout without the network counts", async () => {
    const { server, browser, tab } = await loggedIn(mode);
    server.answerWith(LOGOUT, offline);
    await tab.logout();
    await tab.login(jane);
    expect((await browser.tab().restore()).user).toBe("2");
  });

  test("a refusal that comes after another tab's login does not end that session", async () => {
    const { server, browser, tab } = await loggedIn(mode);
    server.voidAccess();
    server.answerWith(REFRESH, async () => {
      const { access, refresh } = server.begin("2");
      await browser.tab().adopt(mode === "body" ? { access, refresh } : { access });
      await settled();
      return service.tokenRefused("Token is blacklisted");
    });
    expect((await refusalOf(profile(tab))).code).toBe("session_switched");
    expect((await profile(tab)).data?.id).toBe(2);
    expect((await browser.tab().restore()).user).toBe("2");
  });

  test("late news of the end of a session before are no news of this one", async () => {
    const { server, browser, tab } = await loggedIn(mode);
    const [before] = server.sessions.keys();
    await tab.login(jane);
    const channel = new BroadcastChannel(`identity:${browser.baseUrl}`);
    channel.postMessage({ type: "ended", session: before });
    await settled();
    channel.close();
    expect(tab.session.user).toBe("2");
    expect((await browser.tab().restore()).user).toBe("2");
  });

  type Happening = (tab: Identity, reloaded: Identity, other: Identity) => Promise<unknown>;
  // With a cookie nobody knows then which session that was; the service refuses it all the same.
  const unseen: [string, Happening, string] = ["logged out of unseen", (_, reloaded) => reloaded.logout(), "anonymous"];
  test.each<[string, Happening, string]>([
    ["logged out of", (tab) => tab.logout(), "anonymous"],
    ...(mode === "body" ? [unseen] : []),
    ["logged out of elsewhere", (_tab, _, other) => other.restore().then(() => other.logout()), "anonymous"],
    ["replaced", (tab, reloaded) => reloaded.restore().then(() => tab.login(jane)), "authenticated"],
  ])("late news of a session that was %s do not bring it back", async (_, happening, status) => {
    const { browser, tab } = await loggedIn(mode);
    const token = (await tab.token())!;
    const reloaded = browser.tab();
    const channel = new BroadcastChannel(`identity:${browser.baseUrl}`);
    await happening(tab, reloaded, browser.tab());
    await settled();
    const access = { token, user: "1", session: service.read(token).sid, renewAt: Infinity, endsAt: Infinity };
    channel.postMessage({ type: "began", access, mode });
    await settled();
    channel.close();
    expect([tab.session.status, reloaded.session.status]).toEqual([status, status]);
    expect([tab.session.user, reloaded.session.user]).not.toContain("1");
  });

  test("a request that is refused because another tab logged out is not repeated", async () => {
    const { server, browser, tab } = await loggedIn(mode);
    const other = browser.tab();
    await other.restore();
    await settled();
    server.answerWith(PROFILE, async () => {
      await other.logout();
      await settled();
      return service.tokenRefused("Given token not valid for any token type");
    });
    expect((await refusalOf(profile(tab))).code).toBe("token_not_valid");
    expect(server.count(PROFILE)).toBe(1);
  });

  test("a refresh that is not answered gives up, and the next one is tried", async () => {
    const { server, tab } = await loggedIn(mode);
    server.voidAccess();
    server.answerWith(REFRESH, () => new Promise(() => {}));
    const timeout = vi.spyOn(AbortSignal, "timeout");
    timeout.mockReturnValueOnce(AbortSignal.abort(new DOMException("too late", "TimeoutError")));
    expect((await refusalOf(profile(tab))).kind).toBe("network");
    expect(timeout.mock.calls).toEqual([[20_000]]);
    expect((await profile(tab)).data?.id).toBe(1);
  });

  test("a login waits for the refresh before it, lest that has the last word", async () => {
    vi.stubGlobal("navigator", {});
    const { server, browser } = await loggedIn(mode);
    const tab = browser.tab();
    let loginsMeanwhile = 0;
    server.during(REFRESH, async () => {
      await settled();
      loginsMeanwhile = server.count(LOGIN) - 1;
    });
    await Promise.all([tab.restore(), tab.login(jane)]);
    expect([loginsMeanwhile, tab.session.user]).toEqual([0, "2"]);
  });

  test("a refused login leaves everything as it was", async () => {
    const { tab } = await loggedIn(mode);
    const error = await refusalOf(tab.login({ username: "1", password: "wrong" }));
    expect(error.message).toBe("No active account found with the given credentials");
    expect(tab.session.user).toBe("1");
    expect((await profile(tab)).data?.id).toBe(1);
  });

  test("what a login by code answered is adopted", async () => {
    const server = new Service(mode);
    const browser = service.browser(server);
    const tab = browser.tab();
    const { access, refresh } = server.begin("1");
    await tab.adopt(mode === "body" ? { access, refresh } : { access });
    expect(tab.session.user).toBe("1");
    expect((await browser.tab().restore()).user).toBe("1");
  });
});

test("the new refresh token is stored before anybody hears of the access token", async () => {
  const { server, browser, tab } = await loggedIn();
  const before = browser.storage.token;
  const seen: (string | null)[] = [];
  browser.storage.set = (token) => {
    seen.push("stored");
    browser.storage.token = token;
  };
  server.voidAccess();
  await profile(tab).then(() => seen.push("answered"));
  expect(seen).toEqual(["stored", "answered"]);
  expect(browser.storage.token).not.toBe(before);
});

test("a refresh token whose answer was lost is sent again", async () => {
  const { server, browser, tab } = await loggedIn();
  const kept = browser.storage.token;
  server.voidAccess();
  server.answerWith(REFRESH, offline);
  await refusalOf(profile(tab));
  expect(browser.storage.token).toBe(kept);
  await profile(tab);
  const refreshes = server.requests.filter(({ url }) => url.endsWith("/token/refresh/"));
  expect(await Promise.all(refreshes.map((each) => each.json()))).toEqual([{ refresh: kept }, { refresh: kept }]);
});

test("the access token is never stored", async () => {
  const { browser, tab } = await loggedIn();
  expect(browser.storage.token).not.toBe(await tab.token());
  const { browser: withCookie } = await loggedIn("cookie");
  expect(withCookie.storage.token).toBeNull();
});

test("a logout while a slow store keeps a new refresh token takes that out again", async () => {
  const server = new Service();
  const kept = new service.MemoryStore();
  const waits = () => new Promise((resolve) => setTimeout(resolve, 5));
  const storage = {
    get: () => waits().then(kept.get),
    set: (token: string) => waits().then(() => kept.set(token)),
    remove: () => waits().then(kept.remove),
  };
  const tab = service.browser(server).tab({ storage });
  await tab.login(john);
  server.voidAccess();
  const before = kept.token;
  let logout: Promise<void> | undefined;
  kept.set = (token) => {
    kept.token = token;
    kept.set = (again) => void (kept.token = again);
    logout = tab.logout();
  };
  await refusalOf(profile(tab));
  await logout;
  expect(before).not.toBeNull();
  expect([tab.session.status, kept.token, server.sessions.size]).toEqual(["anonymous", null, 0]);
});

test("a logout leaves the cookie of a later login alone", async () => {
  const { server, browser, tab } = await loggedIn("cookie");
  let logout: Promise<void> | undefined;
  server.during(LOGIN, async () => {
    logout = tab.logout();
    await settled();
  });
  const other = browser.tab();
  await other.login(jane);
  await logout;
  await settled();
  expect(other.session.user).toBe("2");
  expect((await browser.tab().restore()).user).toBe("2");
});

test("routes that are nobody's are sent without a token, and ask for no session", async () => {
  const server = new Service();
  const { tab } = service.browser(server);
  server.answerWith("POST /api/auth/forgot-password/", () => service.json(200, { message: "" }));
  await tab().api.POST("/api/auth/forgot-password/", { body: { email: "john@example.com" } });
  expect(server.log).toEqual(["POST /api/auth/forgot-password/"]);
});

test("a request that is aborted while it waits for the refresh leaves the others alone", async () => {
  const { server, tab } = await loggedIn();
  server.voidAccess();
  const controller = new AbortController();
  const aborted = profile(tab, { signal: controller.signal }).catch((error: unknown) => error);
  const other = profile(tab);
  server.during(REFRESH, async () => {
    controller.abort();
    await aborted;
  });
  expect(await aborted).toMatchObject({ name: "AbortError" });
  expect((await other).data?.id).toBe(1);
});

test("garbage in the store is no session, and makes room for one", async () => {
  const server = new Service();
  const { tab, storage } = service.browser(server);
  storage.token = "a.b.c";
  server.answerWith(REFRESH, () => service.tokenRefused("Token is invalid"));
  const identity = tab();
  expect((await identity.restore()).status).toBe("anonymous");
  expect(storage.token).toBeNull();
  await identity.login(john);
  expect(identity.session.user).toBe("1");
});

const throttled = () => service.json(429, { detail: "Request was throttled." }, { "Retry-After": "60" });

test("a visitor whose neighbours have tried too often may log in", async () => {
  const server = new Service("cookie");
  server.answerWith(REFRESH, throttled);
  const tab = service.browser(server).tab();
  expect((await tab.restore()).status).toBe("anonymous");
  await tab.login(john);
  expect(tab.session.user).toBe("1");
});

test("a stored token is kept when its refresh after a reload is throttled", async () => {
  const { server, browser } = await loggedIn();
  const reloaded = browser.tab();
  server.answerWith(REFRESH, throttled);
  expect((await refusalOf(reloaded.restore())).status).toBe(429);
  expect(reloaded.session.status).toBe("unknown");
  expect((await reloaded.restore()).user).toBe("1");
});

describe("a service elsewhere", () => {
  const page = () => vi.stubGlobal("location", new URL("http://page.test/"));
  const credentials = (server: Service) => server.requests.map((request) => request.credentials);

  test("with bodies is never sent credentials, which it would not be allowed to answer", async () => {
    page();
    const server = new Service();
    const tab = service.browser(server).tab();
    await tab.login(john);
    await tab.logout();
    expect(server.log).toEqual([REFRESH, LOGIN, LOGOUT]);
    expect(new Set(credentials(server))).toEqual(new Set(["same-origin"]));
  });

  test("with bodies is asked once for what is stored", async () => {
    page();
    const server = new Service();
    const { tab, storage } = service.browser(server);
    storage.token = server.begin("1").refresh;
    server.sessions.clear();
    expect((await tab().restore()).status).toBe("anonymous");
    expect([server.log, storage.token]).toEqual([[REFRESH], null]);
  });

  test("with a cookie is asked first without, then with credentials", async () => {
    page();
    const server = new Service("cookie");
    const tab = service.browser(server).tab();
    await tab.login(john);
    expect(server.log).toEqual([REFRESH, REFRESH, LOGIN]);
    expect(credentials(server)).toEqual(["same-origin", "include", "include"]);
  });

  test("with a cookie is asked with credentials though it throttles who comes without", async () => {
    page();
    const { server, browser } = await loggedIn("cookie");
    server.log.length = 0;
    server.answerWith(REFRESH, throttled);
    expect((await browser.tab().restore()).user).toBe("1");
    expect(server.log).toEqual([REFRESH, REFRESH]);
  });

  test("whose mode is given is asked nothing", async () => {
    page();
    const server = new Service("cookie");
    await service.browser(server).tab({ mode: "cookie" }).login(john);
    expect([server.log, credentials(server)]).toEqual([[LOGIN], ["include"]]);
  });
});
