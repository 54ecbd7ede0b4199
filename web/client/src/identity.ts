import createClient, { type Client } from "openapi-fetch";
import { IdentityError } from "./errors";
import type { components, paths } from "./schema";
import { abortable, repeating, send, type Fetch } from "./sending";
import { joinTabs } from "./tabs";
import { claimsOf, localStore, type TokenStore } from "./tokens";

export interface Session {
  /** "unknown" until it has been asked for, by `restore` or by the first request that needs it. */
  readonly status: "unknown" | "anonymous" | "authenticated";
  /** The id of the account. When it changes, what the page shows is somebody else's. */
  readonly user: string | null;
}

export type Mode = "cookie" | "body";

export interface Options {
  /** The address of the service, without `/api`. By default the page's own origin. */
  baseUrl?: string;
  /** How the service keeps refresh tokens. "auto" finds out, for an elsewhere in one more request. */
  mode?: Mode | "auto";
  /** Where the refresh token is kept in body mode. By default localStorage. */
  storage?: TokenStore;
  fetch?: Fetch;
  /** The local clock, in milliseconds. All tabs need the same. */
  now?: () => number;
}

export interface Identity {
  /** Every route, typed. Authorised where there is a session; a refusal is thrown as an `IdentityError`. */
  readonly api: Client<paths>;
  readonly session: Session;
  /** Calls `listener` after each change of `session`, of another tab's doing too. Answers how to end that. */
  subscribe(listener: () => void): () => void;
  /** Asks whether there is a session from before. Throws, and leaves it "unknown", where nobody can tell. */
  restore(): Promise<Session>;
  login(credentials: components["schemas"]["Credentials"]): Promise<void>;
  /** Takes over what a login by code was answered with. */
  adopt(answer: { access: string; refresh?: string }): Promise<void>;
  /** Forgets the session at once, and then ends it at the service if that can be reached. Never throws. */
  logout(): Promise<void>;
  /** A good access token, refreshed if need be and other than `refused`; `null` without a session. */
  token(refused?: string): Promise<string | null>;
}

interface Access {
  token: string;
  user: string | null;
  session: string | null;
  /** By the local clock, in milliseconds. */
  renewAt: number;
  endsAt: number;
}

/** What tabs tell each other. */
type Message =
  | { type: "began"; access: Access; mode: Mode }
  | { type: "ended"; session: string | null };

const LOGIN = "/api/auth/login/";
const REFRESH = "/api/auth/token/refresh/";
const LOGOUT = "/api/auth/logout/";
/** Which routes ask whose request it is, and which deal in the refresh cookie. Held against the document by a test. */
export const PROTECTED = /^\/api\/(user\/|admin\/|auth\/logout-all\b)/;
export const WITH_COOKIE = /^\/api\/auth\/(login|login-code\/confirm|token\/refresh|logout|token\/blacklist)\/?$/;

const MARGIN = 30_000; // milliseconds; a token is renewed this long before its end, or a fifth of its life
const PATIENCE = 15_000; // milliseconds for a refresh or a logout: other tabs wait for them
const LOGGED_OUT = "logged-out"; // in place of a token: the cookie may still be there, but nobody wants it

const UNKNOWN: Session = { status: "unknown", user: null };
const ANONYMOUS: Session = { status: "anonymous", user: null };

export function createIdentity(options: Options = {}): Identity {
  const baseUrl = (options.baseUrl ?? "").replace(/\/+$/, "");
  const fetch: Fetch = options.fetch ?? ((...request) => globalThis.fetch(...request));
  const now = options.now ?? Date.now;
  const store = options.storage ?? localStore(`identity:${baseUrl}`);
  const address = new URL(baseUrl || "/", globalThis.location?.href ?? "http://localhost");
  const isElsewhere = globalThis.location !== undefined && address.origin !== location.origin;

  let mode = options.mode === "auto" ? undefined : options.mode;
  let session = UNKNOWN;
  let access: Access | null = null;
  let epoch = 0; // counts logins, logouts and ends: an answer to what was asked before one is of no use
  let refreshing: Promise<void> | null = null;
  const over = new Set<string>(); // sessions that ended, or gave way to another
  const listeners = new Set<() => void>();
  const tabs = joinTabs<Message>(`identity:${baseUrl}`, (message) => void hear(message));

  function enter(next: Access | null): void {
    if (access?.session && access.session !== next?.session) over.add(access.session);
    if (access?.session !== next?.session || !next) epoch++;
    access = next;
    const before = session;
    if (!next) session = ANONYMOUS;
    else if (before.status !== "authenticated" || before.user !== next.user) {
      session = { status: "authenticated", user: next.user };
    }
    if (session !== before) for (const listener of [...listeners]) listener();
  }

  async function hear(message: Message): Promise<void> {
    if (message.type === "began") {
      if (message.access.session && over.has(message.access.session)) return;
      mode = message.mode;
      enter(message.access);
      return;
    }
    if (message.session) over.add(message.session);
    const stored = await storedToken();
    if (stored && message.session && claimsOf(stored).session === message.session) await store.remove();
    if (!message.session || !access || access.session === message.session) enter(null);
  }

  async function storedToken(): Promise<string | null> {
    const stored = await store.get();
    return stored === LOGGED_OUT ? null : stored;
  }

  /** @param asked when it was asked for: the token is no older. */
  async function begin(answer: unknown, asked: number): Promise<void> {
    const { access: token, refresh } = answer as { access?: unknown; refresh?: unknown };
    if (typeof token !== "string") {
      throw new IdentityError({ kind: "network", message: "The answer has no access token." });
    }
    if (options.mode === undefined || options.mode === "auto") {
      mode = typeof refresh === "string" ? "body" : "cookie";
    }
    // Before anything else: without it the session is lost at the next reload.
    if (typeof refresh === "string") await store.set(refresh);
    else if ((await store.get()) !== null) await store.remove();
    const { user, session, lifetime } = claimsOf(token);
    const endsAt = asked + lifetime;
    enter({ token, user, session, endsAt, renewAt: endsAt - Math.min(MARGIN, lifetime / 5) });
    tabs.tell({ type: "began", access: access!, mode: mode! });
  }

  async function end(ended: string | null): Promise<void> {
    if (ended) over.add(ended);
    const stored = await storedToken();
    if (stored && (!ended || claimsOf(stored).session === ended)) await store.remove();
    enter(null);
  }

  function post(path: string, body: unknown, credentials: RequestCredentials, signal?: AbortSignal) {
    return send(
      new Request(new URL(baseUrl + path, address), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
        credentials,
        signal: signal ?? null,
      }),
      fetch,
      now,
    );
  }

  const withCookie = (): RequestCredentials => (mode === "cookie" ? "include" : "same-origin");

  /** In turn. Raises the refusal that ended the session, or why it could not be asked for; then nothing changed. */
  async function renew(stale: Access | null): Promise<void> {
    if (access && access !== stale && now() < access.renewAt) return; // another tab was first
    const before = epoch;
    const stored = await store.get();
    if (stored === LOGGED_OUT) {
      await endLeftCookie();
      return enter(null);
    }
    if (options.mode !== "cookie" && stored) mode = "body";
    if (mode === "body" && !stored) return enter(null);
    const asked = now();
    const body = mode === "body" ? { refresh: stored } : {};
    try {
      let response: Response;
      try {
        response = await post(REFRESH, body, withCookie(), AbortSignal.timeout(PATIENCE));
      } catch (error) {
        if (mode || !(error instanceof IdentityError) || error.status !== 401) throw error;
        mode = "cookie";
        if (!isElsewhere) throw error;
        response = await post(REFRESH, body, withCookie(), AbortSignal.timeout(PATIENCE));
      }
      const answer: unknown = await response.json();
      if (epoch === before) await begin(answer, asked);
    } catch (error) {
      const isFinal =
        error instanceof IdentityError && (error.status === 401 || (error.status === 400 && "refresh" in error.fields));
      if (!isFinal) throw error;
      if (epoch !== before) return;
      if (error.status === 400 && options.mode !== "cookie") mode = "body";
      const ended = access?.session ?? (stored && claimsOf(stored).session);
      await end(ended ?? null);
      if (ended) tabs.tell({ type: "ended", session: ended });
      throw error;
    }
  }

  /** The cookie of a session that was logged out of while the service could not be reached. */
  async function endLeftCookie(): Promise<void> {
    try {
      await post(LOGOUT, {}, "include", AbortSignal.timeout(PATIENCE));
    } catch (error) {
      if (!(error instanceof IdentityError) || error.status !== 401) return;
    }
    if ((await store.get()) === LOGGED_OUT) await store.remove();
  }

  function refresh(): Promise<void> {
    const stale = access;
    refreshing ??= repeating(() => tabs.inTurn(() => renew(stale))).finally(() => (refreshing = null));
    return refreshing;
  }

  /** Raises the refusal that ended the session, or why there is no token though there may be a session. */
  async function goodToken(refused?: string): Promise<string | null> {
    const isGood = () => access !== null && access.token !== refused && now() < access.renewAt;
    if (session.status !== "anonymous" && !isGood()) {
      try {
        await refresh();
      } catch (error) {
        if (!access || access.token === refused || now() >= access.endsAt) throw error;
      }
    }
    return access?.token ?? null;
  }

  async function restore(): Promise<Session> {
    if (session.status === "unknown") {
      await refresh().catch((error) => {
        if (session.status === "unknown") throw error;
      });
    }
    return session;
  }

  /** What openapi-fetch calls. */
  async function authorised(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const request = new Request(input, init);
    const { pathname } = new URL(request.url);
    const path = pathname.slice(address.pathname.replace(/\/$/, "").length);
    if (WITH_COOKIE.test(path)) {
      if (!mode && isElsewhere) await restore();
      return send(new Request(request, { credentials: withCookie() }), fetch, now);
    }
    const isSafe = request.method === "GET" || request.method === "HEAD";
    if (!PROTECTED.test(path)) {
      return isSafe
        ? repeating(() => send(request.clone(), fetch, now), request.signal)
        : send(request, fetch, now);
    }
    await abortable(restore(), request.signal);
    const { user } = session;
    const attempt = async (refused?: string) => {
      const token = await abortable(goodToken(refused), request.signal);
      if (session.user !== user && session.user !== null) throw switched();
      const repeat = request.clone();
      if (token) repeat.headers.set("Authorization", `Bearer ${token}`);
      try {
        return await send(repeat, fetch, now);
      } catch (error) {
        if (!token || refused || !(error instanceof IdentityError) || error.status !== 401) throw error;
        throw new Unauthorised(token, error);
      }
    };
    const authorisedOnce = async () => {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof Unauthorised)) throw error;
        return attempt(error.token);
      }
    };
    return isSafe ? repeating(authorisedOnce, request.signal) : authorisedOnce();
  }

  return {
    api: createClient<paths>({ baseUrl: baseUrl || address.origin, fetch: authorised }),
    get session() {
      return session;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    restore,
    async login(credentials) {
      if (!mode && isElsewhere) await restore();
      await repeating(() =>
        tabs.inTurn(async () => {
          const asked = now();
          const response = await post(LOGIN, credentials, withCookie());
          await begin(await response.json(), asked);
        }),
      );
    },
    adopt: (answer) => begin(answer, now()),
    async logout() {
      const stored = await store.get();
      const ended = access?.session ?? (stored && claimsOf(stored).session) ?? null;
      await end(ended);
      tabs.tell({ type: "ended", session: ended });
      if (mode === "cookie") {
        await store.set(LOGGED_OUT);
        await tabs.inTurn(endLeftCookie);
      } else if (stored) {
        const signal = AbortSignal.timeout(PATIENCE);
        await tabs.inTurn(() => post(LOGOUT, { refresh: stored }, "same-origin", signal)).catch(() => undefined);
      }
    },
    async token(refused) {
      await restore();
      try {
        return await goodToken(refused);
      } catch (error) {
        if (session.status === "anonymous") return null;
        throw error;
      }
    },
  };
}

class Unauthorised {
  constructor(
    readonly token: string,
    readonly error: IdentityError,
  ) {}
}

function switched(): IdentityError {
  return new IdentityError({
    kind: "detail",
    status: 401,
    code: "session_switched",
    message: "Somebody else has logged in meanwhile.",
  });
}
