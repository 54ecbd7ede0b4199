import { expect, test } from "vitest";
import { strengthOf } from "./strength";

const reasonOf = (password: string, about: string[] = []) => strengthOf(password, about)?.reason ?? null;

test("nothing typed has no strength", () => {
  expect(strengthOf("")).toBeNull();
});

test("what is too short is told how many characters are missing, in code points", () => {
  expect(strengthOf("abc")).toEqual({ level: 1, reason: "tooShort", missing: 5 });
  expect(strengthOf("🦊🐻🐼🐨🦁🐯🐮")).toEqual({ level: 1, reason: "tooShort", missing: 1 });
});

test.each([
  ["1029384756", "digits"],
  ["aaaaaaaaaaaaaaaaaaaa", "repeated"],
  ["abababababababababab", "repeated"],
  ["abcdefghijklmnop", "repeated"],
  ["9876543210fedcba", "repeated"],
  ["password", "weak"],
  ["kitchenlamp", "fair"],
  ["Kitchen-7", "fair"],
  ["correct horse battery staple", "strong"],
  ["xK9#mQ2$vL7&", "strong"],
])("%s is %s", (password, reason) => {
  expect(reasonOf(password)).toBe(reason);
});

test.each([
  ["john_doe", "1john_doe!xyz"],
  ["john@example.com", "JOHN and more"],
  ["a-very-long-username", "very-long"],
])("like the name %s is %s", (name, password) => {
  expect(reasonOf(password, [name])).toBe("similar");
});

test("a name of two letters says nothing about a password, nor does one that is not typed yet", () => {
  expect(reasonOf("correct horse battery", ["co", ""])).toBe("strong");
});
