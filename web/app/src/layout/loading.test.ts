import { expect, test } from "vitest";
import { failed } from "./loading";

const loaded = { key: "profile of 1", data: "John" };

test("what is kept outlives that it cannot be loaded again", () => {
  expect(failed(loaded, "profile of 1", "offline", true)).toEqual({ ...loaded, error: "offline" });
});

test.each([
  ["profile of 2", true],
  ["profile of 1", false],
])("%o, which cannot be loaded, has nothing of what was shown before (kept: %o)", (key, keeps) => {
  expect(failed(loaded, key, "offline", keeps)).toEqual({ key, error: "offline" });
});
