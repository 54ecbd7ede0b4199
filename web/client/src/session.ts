import { IdentityError, switched } from "./errors";
import { repeating, send, type Fetch } from "./sending";
import { joinTabs } from "./tabs";
import { claimsOf, type TokenStore } from "./tokens";

export interface Session {
  /** "unknown" until it has been asked for, by `restore` or by the first request that needs it. */
  readonly status: "unknown" | "anonymous" | "authenticated";
  /** The id of the account. When it changes, what the page shows is somebody else's. */
  readonly user: string | null;
}

export type Mode = "cookie" | "body";

/** What a login is answered with: in cookie mode without a refresh token. */
export interface Tokens {
  access: string;
  refresh?: string;
}

interface Access {
  token: string;
  user: string | null;
  session: string | null;
  /** By the local clock, in milliseconds. */
  renewAt: number;
  endsAt: number;
}

/** What tabs tell each other. `session` is null where it is not known, which means any. */
type Message = { type: "began"; access: Access; mode: Mode } | { type: "ended"; session: string | null };

const LOGIN = "/api/auth/login/";
const REFRESH = "/api/auth/token/refresh/";
const LOGOUT = "/api/auth/logout/";

const MARGIN = 30_000; // milliseconds; a token is renewed this long before its end, or a fifth of its life
const PATIENCE = 20_000; // milliseconds for an answer: other tabs wait for their turn
const LOGGED_OUT = "logged-out"; // in place of a token: a cookie may be left, but it is not to be used

const UNKNOWN: Session = { status: "unknown", user: null };
const ANONYMOUS: Session = { status: "anonymous", user: null };

/**
 * The session that all tabs share: this one's knowledge of it, and its turns at changing it.
 *
 * @param base the address of the service, without a slash at its end.
 */
export function shareSession(
  base: string,
  known: Mode | undefined,
  store: TokenStore,
  fetch: Fetch,
  now: () => number,
) {
  const isElsewhere = globalThis.location !== undefined && new URL(base).origin !== location.origin;
  const listeners = new Set<() => void>();
  const over = new Set<string>(); // sessions that have ended, or given way to another
  let mode = known;
  let session = UNKNOWN;
  let access: Access | null = null;
  let epoch = 0; // counts the changes from one session to another or to none: answers from before are void
  let refreshing: Promise<void> | null = null;
  const tabs = joinTabs<Message>(`identity:${base}`, hear);

  function enter(next: Access | null): void {
    const before = session;
    if (access?.session !== next?.session || !next) {
      if (access?.session) over.add(access.session);
      epoch++;
    }
    access = next;
    if (!next) session = ANONYMOUS;
    else if (before === ANONYMOUS || before === UNKNOWN || before.user !== next.user) {
      session = { status: "authenticated", user: next.user };
    }
    if (session !== before) [...listeners].forEach(call);
  }

  function hear(message: Message): void {
    if (message?.type === "ended") {
      if (message.session) over.add(message.session);
      if (!message.session || !access || access.session === message.session) enter(null);
      void forget(message.session); // that tab has done so, but this one may have stored another since
    } else if (message?.type === "began" && message.access?.token && !over.has(message.access.session ?? "")) {
      mode = message.mode;
      enter(message.access);
    }
  }

  /** Takes the refresh token of `ended` out of the store, or any for null, but not that of another session. */
  async function forget(ended: string | null): Promise<void> {
    const stored = await store.get();
    if (stored && stored !== LOGGED_OUT && (!ended || claimsOf(stored).session === ended)) await store.remove();
  }

  async function end(ended: string | null): Promise<void> {
    if (ended) over.add(ended);
    await forget(ended);
    tabs.tell({ type: "ended", session: ended });
  }

  /**
   * @param asked when it was asked for, by the local clock, which may be wrong but goes: the token is no older.
   * @param before the epoch in which it is still welcome.
   */
  async function begin(answer: Partial<Tokens>, asked: number, before = epoch): Promise<void> {
    const { access: token, refresh } = answer;
    if (!token || typeof token !== "string") {
      throw new IdentityError({ kind: "network", message: "The answer has no access token." });
    }
    const { user, session, lifetime } = claimsOf(token);
    if (typeof refresh === "string") await store.set(refresh);
    else if ((await store.get()) !== null) await store.remove();
    if (epoch !== before) return forget(session); // somebody has logged out while it was stored
    mode = typeof refresh === "string" ? "body" : "cookie";
    const endsAt = asked + lifetime;
    const began = { token, user, session, endsAt, renewAt: endsAt - Math.min(MARGIN, lifetime / 5) };
    enter(began);
    tabs.tell({ type: "began", access: began, mode });
  }

  async function post(path: string, body: object, credentials: RequestCredentials): Promise<Partial<Tokens>> {
    const request = new Request(base + path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      credentials,
      keepalive: path === LOGOUT, // who logs out is often about to leave the page
      signal: AbortSignal.timeout(PATIENCE),
    });
    const answer: unknown = await (await send(request, fetch, now)).json();
    return answer ?? {};
  }

  /** In body mode a service elsewhere does not take credentials, and the browser would withhold its answer. */
  const credentials = (): RequestCredentials => (mode === "cookie" ? "include" : "same-origin");

  /** In turn. Throws the refusal that ended the session, or why nobody can tell; then nothing has changed. */
  async function renew(stale: Access | null): Promise<void> {
    if (access !== stale && access && now() < access.renewAt) return; // another tab was first
    const before = epoch;
    const stored = await store.get();
    if (stored === LOGGED_OUT) await endLeftSession();
    else if (stored) mode = "body";
    if (stored === LOGGED_OUT || (mode === "body" && !stored)) {
      if (epoch === before) enter(null);
      return;
    }
    const asked = now();
    try {
      const answer = await askForTokens(stored ? { refresh: stored } : {});
      if (epoch === before) await begin(answer, asked, before);
    } catch (error) {
      if (!(error instanceof IdentityError)) throw error;
      // Good cookies are never throttled: with many visitors behind one address this one has none.
      const isVisitor = session === UNKNOWN && !stored && error.status === 429;
      if (!isFinal(error) && !isVisitor) throw error;
      if (epoch === before) {
        const ended = access?.session ?? (stored && claimsOf(stored).session);
        enter(null);
        if (ended) await end(ended);
        else if (stored) await store.remove();
      }
      throw error;
    }
  }

  async function askForTokens(body: object): Promise<Partial<Tokens>> {
    try {
      return await post(REFRESH, body, credentials());
    } catch (error) {
      if (mode || !(error instanceof IdentityError) || ![401, 429].includes(error.status)) throw error;
      mode = "cookie";
      if (!isElsewhere) throw error;
      return post(REFRESH, body, credentials());
    }
  }

  /** Ends, in turn, the session of a cookie that was to go but could not, for want of the service. */
  async function endLeftSession(): Promise<void> {
    if ((await store.get()) !== LOGGED_OUT) return; // there has been a login since
    try {
      await post(LOGOUT, {}, "include");
    } catch (error) {
      if (!(error instanceof IdentityError) || !isFinal(error)) return;
    }
    await store.remove();
  }

  function refresh(): Promise<void> {
    const stale = access;
    refreshing ??= repeating(() => tabs.inTurn(() => renew(stale))).finally(() => (refreshing = null));
    return refreshing;
  }

  async function restore(): Promise<Session> {
    if (session === UNKNOWN) {
      try {
        await refresh();
      } catch (error) {
        if (session === UNKNOWN) throw error;
      }
    }
    return session;
  }

  return {
    current: () => session,
    restore,
    begin,

    subscribe(listener: () => void): () => void {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },

    /** How a request that the refresh cookie comes with, or is answered with, is to be sent. */
    async credentials(): Promise<RequestCredentials> {
      if (!mode && isElsewhere) await restore();
      return credentials();
    },

    /**
     * An access token of `user`, other than `refused`; null where nobody is logged in. Throws the refusal that
     * ended the session, why there is no token though there may be a session, or that it is another's now.
     */
    async token(user: string | null, refused?: string): Promise<string | null> {
      const isGood = () => access !== null && access.token !== refused && now() < access.renewAt;
      if (access && !isGood()) {
        try {
          await refresh();
        } catch (error) {
          if (!access || access.token === refused || now() >= access.endsAt) throw error;
        }
      }
      if (access && access.user !== user) throw switched();
      return access && access.token;
    },

    async login(username: string, password: string): Promise<void> {
      if (!mode && isElsewhere) await restore();
      const logIn = async () => {
        const asked = now();
        await begin(await post(LOGIN, { username, password }, credentials()), asked);
      };
      await repeating(() => tabs.inTurn(logIn));
    },

    async logout(): Promise<void> {
      const known = access?.session;
      enter(null);
      const stored = await store.get();
      const token = stored === LOGGED_OUT ? null : stored;
      const ended = known ?? (token && claimsOf(token).session);
      await end(ended);
      if (token) {
        await tabs.inTurn(() => post(LOGOUT, { refresh: token }, "same-origin")).catch(() => undefined);
      } else if (mode !== "body") {
        await store.set(LOGGED_OUT);
        await tabs.inTurn(endLeftSession);
      }
    },
  };
}

/** A listener that throws is the page's matter, and is reported as such: a logout has to go on. */
function call(listener: () => void): void {
  try {
    listener();
  } catch (error) {
    globalThis.reportError?.(error); // which Node does not have
  }
}

/** Says that there is no session, and not merely that nobody can tell: a proxy has its own reasons for a 401. */
function isFinal({ kind, status, fields }: IdentityError): boolean {
  return (status === 401 && kind !== "network") || (status === 400 && "refresh" in fields);
}
