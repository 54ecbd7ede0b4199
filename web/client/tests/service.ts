import { vi } from "vitest";
import { createIdentity, type Identity, type Options, type TokenStore } from "../src";

/** What the service does, as far as the client can tell: sessions, their tokens and the three envelopes. */
export class Service {
  /** In order: "POST /api/auth/login/". */
  readonly log: string[] = [];
  readonly requests: Request[] = [];
  /** Answers in place of the service, in turn, for as long as there are any. */
  readonly instead = new Map<string, (() => Response | Promise<Response>)[]>();
  readonly sessions = new Map<string, string>(); // to the user
  lifetime = 300;
  /** How wrong the client's clock is, in seconds: the service is this much ahead. */
  ahead = 0;
  cookie: string | null = null;
  private readonly meanwhile = new Map<string, () => void | Promise<void>>();
  private made = 0;
  private readonly voided = new Set<string>();

  constructor(readonly mode: "body" | "cookie" = "body") {}

  readonly fetch: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    const name = `${request.method} ${new URL(request.url).pathname}`;
    this.log.push(name);
    this.requests.push(request.clone());
    await new Promise((resolve) => setImmediate(resolve)); // as far away as the network is
    const aborted = new Promise<never>((_, reject) => {
      const abort = () => reject(request.signal.reason);
      if (request.signal.aborted) abort();
      request.signal.addEventListener("abort", abort);
    });
    return Promise.race([aborted, this.dealWith(name, request)]);
  };

  private async dealWith(name: string, request: Request): Promise<Response> {
    const instead = this.instead.get(name)?.shift();
    const answer = instead ? await instead() : await this.answer(name, request);
    await this.meanwhile.get(name)?.();
    this.meanwhile.delete(name);
    return answer;
  }

  /** Has it happen once, after the request was dealt with and before its answer arrives. */
  during(name: string, happening: () => void | Promise<void>): void {
    this.meanwhile.set(name, happening);
  }

  count(name: string): number {
    return this.log.filter((each) => each === name).length;
  }

  /** From now on all access tokens are refused: as if they had expired by the service's clock alone. */
  voidAccess(): void {
    for (let each = 1; each <= this.made; each++) this.voided.add(String(each));
  }

  answerWith(name: string, ...answers: (() => Response | Promise<Response>)[]): void {
    this.instead.set(name, [...(this.instead.get(name) ?? []), ...answers]);
  }

  begin(user: string): { access: string; refresh: string } {
    const session = `session-${++this.made}`;
    this.sessions.set(session, user);
    return this.tokens(session);
  }

  private tokens(session: string): { access: string; refresh: string } {
    const user = this.sessions.get(session)!;
    const refresh = this.jwt({ sub: user, sid: session, jti: String(++this.made) }, 30 * 24 * 3600);
    if (this.mode === "cookie") this.cookie = refresh;
    return { access: this.jwt({ sub: user, sid: session, jti: String(++this.made) }, this.lifetime), refresh };
  }

  private jwt(claims: object, lifetime: number): string {
    const iat = Math.floor(Date.now() / 1000) + this.ahead;
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    return `${part({ alg: "ES256" })}.${part({ ...claims, iat, exp: iat + lifetime })}.c2ln`;
  }

  private async answer(name: string, request: Request): Promise<Response> {
    const body = request.method === "POST" ? await request.json() : {};
    if (name === "POST /api/auth/login/") {
      if (body.password !== "right") return json(401, { detail: "No active account found with the given credentials" });
      return this.tokensAnswered(this.begin(body.username));
    }
    if (name === "POST /api/auth/token/refresh/" || name === "POST /api/auth/logout/") {
      const sent = this.mode === "cookie" ? this.cookie : body.refresh;
      if (this.mode === "body" && sent === undefined) return json(400, { refresh: ["This field is required."] });
      const session = sent && read(sent).sid;
      if (!session || !this.sessions.has(session)) return tokenRefused("Token is blacklisted");
      if (name.endsWith("refresh/")) return this.tokensAnswered(this.tokens(session));
      this.sessions.delete(session);
      this.cookie = null;
      return json(200, {});
    }
    const bearer = request.headers.get("Authorization")?.replace("Bearer ", "");
    if (!bearer) return json(401, { detail: "Authentication credentials were not provided." });
    const claims = read(bearer);
    const isOver = claims.exp <= Date.now() / 1000 + this.ahead || this.voided.has(claims.jti);
    if (isOver || !this.sessions.has(claims.sid)) return tokenRefused("Given token not valid for any token type");
    return json(200, { id: Number(claims.sub), username: claims.sub });
  }

  private tokensAnswered({ access, refresh }: { access: string; refresh: string }): Response {
    return json(200, this.mode === "cookie" ? { access } : { access, refresh });
  }
}

export function read(token: string): { sub: string; sid: string; jti: string; exp: number } {
  return JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString());
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers });
}

export function tokenRefused(detail: string): Response {
  return json(401, { detail, code: "token_not_valid" });
}

export function unavailable(retryAfter: string | null = "1"): Response {
  const headers: Record<string, string> = retryAfter === null ? {} : { "Retry-After": retryAfter };
  return json(503, { detail: "Service temporarily unavailable, try again later." }, headers);
}

export function offline(): never {
  throw new TypeError("fetch failed");
}

export class MemoryStore implements TokenStore {
  constructor(public token: string | null = null) {}
  get = () => this.token;
  set = (token: string) => void (this.token = token);
  remove = () => void (this.token = null);
}

let browsers = 0;

/** Tabs of one browser: they share storage, locks and channel with each other and with no other test. */
export function browser(service: Service) {
  const baseUrl = `http://service-${++browsers}.test`;
  const storage = new MemoryStore();
  const tab = (options: Options = {}): Identity =>
    createIdentity({ baseUrl, storage, fetch: service.fetch, ...options });
  return { baseUrl, storage, tab };
}

/** Web Locks, which Node has only since version 24. Nobody has one at once: it is another process that gives them. */
export function stubLocks(): void {
  const queues = new Map<string, Promise<unknown>>();
  const asked = new Map<string, number>();
  const locks = {
    async request(name: string, { ifAvailable, signal }: LockOptions, work: Work): Promise<unknown> {
      await new Promise((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
      const isTaken = (asked.get(name) ?? 0) > 0;
      if (isTaken && ifAvailable) return work(null);
      asked.set(name, (asked.get(name) ?? 0) + 1);
      const turn = (queues.get(name) ?? Promise.resolve())
        .then(() => work({ name }))
        .finally(() => asked.set(name, asked.get(name)! - 1));
      queues.set(name, turn.catch(() => undefined));
      return turn;
    },
  };
  vi.stubGlobal("navigator", { locks });
}

type Work = (lock: { name: string } | null) => Promise<unknown>;

/** Messages between tabs arrive that many milliseconds later than they would. */
export function delayMessages(by: number): void {
  const Channel = BroadcastChannel;
  class SlowChannel extends Channel {
    override postMessage(message: unknown): void {
      setTimeout(() => super.postMessage(message), by);
    }
  }
  vi.stubGlobal("BroadcastChannel", SlowChannel);
}

/** Until messages between tabs have arrived. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 20));
}

export function profile(identity: Identity, init: { signal?: AbortSignal } = {}) {
  return identity.api.GET("/api/user/profile/", init);
}

export const REFRESH = "POST /api/auth/token/refresh/";
export const LOGIN = "POST /api/auth/login/";
export const LOGOUT = "POST /api/auth/logout/";
export const PROFILE = "GET /api/user/profile/";
