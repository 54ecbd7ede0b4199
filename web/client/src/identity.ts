import createClient, { type Client } from "openapi-fetch";
import { IdentityError, switched } from "./errors";
import { isPublic, takesCookie } from "./routes";
import type { components, paths } from "./schema";
import { abortable, repeating, send, type Fetch } from "./sending";
import { shareSession, type Mode, type Session, type Tokens } from "./session";
import { claimsOf, localStore, type TokenStore } from "./tokens";

export interface Options {
  /** The address of the service, without `/api`. By default the page's own origin. */
  baseUrl?: string;
  /** Where the service keeps refresh tokens. "auto", the default, finds out. */
  mode?: Mode | "auto";
  /** Where the refresh token is kept in body mode. By default localStorage. */
  storage?: TokenStore;
  fetch?: Fetch;
  /** The local clock, in milliseconds. It may be wrong, but all tabs need the same. */
  now?: () => number;
}

export interface Identity {
  /** Every route, typed. Authorised where there is a session; a refusal is thrown as an `IdentityError`. */
  readonly api: Client<paths>;
  /** Stays the same object until it changes. */
  readonly session: Session;
  /** Calls `listener` after each change of `session`, also of another tab's doing. Answers how to stop that. */
  subscribe(listener: () => void): () => void;
  /** Finds out whether there is a session from before. Throws, and leaves it "unknown", where nobody can tell. */
  restore(): Promise<Session>;
  login(credentials: components["schemas"]["Credentials"]): Promise<void>;
  /** Takes over what a login by code was answered with. */
  adopt(answer: Tokens): Promise<void>;
  /** Forgets the session at once, then ends it at the service. Does not throw where that cannot be reached. */
  logout(): Promise<void>;
  /** A good access token, refreshed if need be and other than `refused`; null where nobody is logged in. */
  token(refused?: string): Promise<string | null>;
}

export function createIdentity(options: Options = {}): Identity {
  const fetch: Fetch = options.fetch ?? ((...request) => globalThis.fetch(...request));
  const now = options.now ?? Date.now;
  const here = globalThis.location?.href ?? "http://localhost";
  const base = new URL(options.baseUrl || "/", here).href.replace(/\/+$/, "");
  const mode = options.mode === "auto" ? undefined : options.mode;
  const shared = shareSession(base, mode, options.storage ?? localStore(`identity:${base}`), fetch, now);

  async function answer(request: Request): Promise<Response> {
    const path = request.url.slice(base.length);
    if (takesCookie(path)) {
      return send(new Request(request, { credentials: await shared.credentials() }), fetch, now);
    }
    const attempt = () => (isPublic(path) ? send(request.clone(), fetch, now) : authorised(request));
    const isSafe = request.method === "GET" || request.method === "HEAD";
    return isSafe ? repeating(attempt, request.signal) : attempt();
  }

  async function authorised(request: Request): Promise<Response> {
    const { signal } = request;
    const { user } = await abortable(shared.restore(), signal);
    const attempt = (token: string | null) => {
      const copy = request.clone();
      if (token) copy.headers.set("Authorization", `Bearer ${token}`);
      return send(copy, fetch, now);
    };
    const attempts = async () => {
      const token = await abortable(shared.token(user), signal);
      try {
        return await attempt(token);
      } catch (error) {
        if (!(error instanceof IdentityError) || error.status !== 401 || !token) throw error;
        const another = await abortable(shared.token(user, token), signal);
        if (!another) throw error;
        return attempt(another);
      }
    };
    const response = await attempts();
    if (![user, null].includes(shared.current().user)) throw switched();
    return response;
  }

  return {
    api: createClient<paths>({ baseUrl: base, fetch: answer }),
    get session() {
      return shared.current();
    },
    subscribe: shared.subscribe,
    restore: shared.restore,
    login: ({ username, password }) => shared.login(username, password),
    adopt: (answer) => shared.begin(answer, now()),
    logout: shared.logout,
    async token(refused) {
      const { user } = await shared.restore();
      try {
        return await shared.token(refused ? claimsOf(refused).user : user, refused);
      } catch (error) {
        if (shared.current().status === "anonymous") return null;
        throw error;
      }
    },
  };
}
