/** Where the refresh token is kept in body mode. One store for all tabs, or each has a session of its own. */
export interface TokenStore {
  get(): string | null | Promise<string | null>;
  set(token: string): void | Promise<void>;
  remove(): void | Promise<void>;
}

/** In localStorage; where the browser forbids that, in memory. */
export function localStore(key: string): TokenStore {
  let inMemory: string | null = null;
  const tried = <T>(work: () => T, otherwise: T): T => {
    try {
      return work();
    } catch {
      return otherwise;
    }
  };
  return {
    get: () => tried(() => localStorage.getItem(key), null) ?? inMemory,
    set(token) {
      const isKept = tried(() => (localStorage.setItem(key, token), true), false);
      inMemory = isKept ? null : token;
      if (!isKept) tried(() => localStorage.removeItem(key), undefined); // what is there is out of date
    },
    remove() {
      inMemory = null;
      tried(() => localStorage.removeItem(key), undefined);
    },
  };
}

export interface Claims {
  /** The account's id. */
  user: string | null;
  /** The session's. */
  session: string | null;
  /** In milliseconds; infinite where the token does not say. */
  lifetime: number;
}

/** What a token says of itself. Not verified: that is the matter of those who are shown it. */
export function claimsOf(token: string): Claims {
  try {
    const payload = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
    const { sub, sid, iat, exp } = JSON.parse(atob(payload)) as Record<string, unknown>;
    const lifetime = (Number(exp) - Number(iat)) * 1000;
    return { user: textOf(sub), session: textOf(sid), lifetime: lifetime > 0 ? lifetime : Infinity };
  } catch {
    return { user: null, session: null, lifetime: Infinity };
  }
}

function textOf(claim: unknown): string | null {
  return typeof claim === "string" ? claim : null;
}
