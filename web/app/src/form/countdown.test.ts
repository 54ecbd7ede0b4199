import { expect, test } from "vitest";
import { secondsLeft } from "./countdown";

test.each([
  [10_000, 0, 10],
  [10_000, 9_001, 1],
  [10_000, 10_000, 0],
  [10_000, 3_600_000, 0],
])("until %i at %i there are %i seconds left", (until, now, left) => {
  expect(secondsLeft(until, now)).toBe(left);
});
