import { expect, test, vi } from "vitest";
import { localInputOf, timeOf } from "./time-input";

test("what is typed into an input is found there again", () => {
  const time = timeOf("2026-01-02T03:04");
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:00Z$/);
  expect(localInputOf(time)).toBe("2026-01-02T03:04");
});

test.each(["", "nonsense"])("%o is no time", (text) => {
  expect(timeOf(text)).toBe("");
  expect(localInputOf(text)).toBe("");
});

test("an input without a time is empty", () => {
  expect(localInputOf(null)).toBe("");
});

test.each(["+275760-09-13T00:00:00Z", "-271821-04-20T00:00:00Z", "+012345-01-02T03:04:05Z"])(
  "%s, which nobody can type, leaves the input empty in any zone",
  (time) => {
    for (const minutes of [-840, 0, 720]) {
      const zone = vi.spyOn(Date.prototype, "getTimezoneOffset").mockReturnValue(minutes);
      expect(localInputOf(time)).toBe("");
      zone.mockRestore();
    }
  },
);
