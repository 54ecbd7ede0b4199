import { afterEach, expect, test, vi } from "vitest";
import { claimsOf, localStore } from "../src/tokens";

afterEach(() => vi.unstubAllGlobals());

function stubStorage(isFull = false): Map<string, string> {
  const items = new Map<string, string>();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => items.get(key) ?? null,
    removeItem: (key: string) => items.delete(key),
    setItem(key: string, value: string) {
      if (isFull) throw new DOMException("", "QuotaExceededError");
      items.set(key, value);
    },
  });
  return items;
}

test("the refresh token is kept in localStorage", () => {
  const items = stubStorage();
  const store = localStore("key");
  expect(store.get()).toBeNull();
  void store.set("token");
  expect([store.get(), items.get("key")]).toEqual(["token", "token"]);
  void store.remove();
  expect([store.get(), items.size]).toEqual([null, 0]);
});

test.each(["full", "forbidden"])("where localStorage is %s it is kept in memory", (why) => {
  const items = stubStorage(true);
  items.set("key", "outdated");
  if (why === "forbidden") vi.stubGlobal("localStorage", undefined);
  const store = localStore("key");
  void store.set("token");
  expect(store.get()).toBe("token");
  void store.remove();
  expect(store.get()).toBeNull();
});

test.each(["", "a", "a.b.c", "..", "a.bnVsbA.c", `a.${btoa('{"sub": 1, "exp": "x"}')}.c`])(
  "what is not a token of the service says nothing: %s",
  (token) => expect(claimsOf(token)).toEqual({ user: null, session: null, lifetime: Infinity }),
);

test("a token says whose it is, of which session, and how long it lives", () => {
  const payload = Buffer.from('{"sub":"1","sid":"ÿ>?","iat":100,"exp":400}', "latin1").toString("base64url");
  expect(claimsOf(`a.${payload}.c`)).toEqual({ user: "1", session: "ÿ>?", lifetime: 300_000 });
});
