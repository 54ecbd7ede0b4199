import { readFileSync } from "node:fs";
import openapiTypescript, { astToString, COMMENT_HEADER } from "openapi-typescript";
import { expect, test } from "vitest";
import { isPublic, takesCookie } from "../src/routes";

const file = (name: string) => new URL(`../${name}`, import.meta.url);
const document = JSON.parse(readFileSync(file("openapi.json"), "utf-8"));

test("the types are those of openapi.json", async () => {
  const types = COMMENT_HEADER + astToString(await openapiTypescript(file("openapi.json")));
  expect(types === readFileSync(file("src/schema.d.ts"), "utf-8"), "src/schema.d.ts is stale: make client-types").toBe(
    true,
  );
});

test("a token is sent to all routes that ask for one, and to no other", () => {
  const operations = Object.entries<Record<string, { security: object[] }>>(document.paths).flatMap(([path, item]) =>
    Object.values(item).map(({ security }) => [path, security.length > 0]),
  );
  expect(operations.length).toBeGreaterThan(30);
  expect(operations.map(([path]) => [path, !isPublic(path as string)])).toEqual(operations);
});

test("the cookie is brought to the routes that begin, refresh or end a session by a secret", () => {
  expect(Object.keys(document.paths).filter(takesCookie)).toEqual([
    "/api/auth/login-code/confirm/",
    "/api/auth/login/",
    "/api/auth/logout/",
    "/api/auth/token/blacklist/",
    "/api/auth/token/refresh/",
  ]);
});
