import { expect, test } from "vitest";
import { linkIn } from "./links";

test.each(["reset-password", "verify-email", "confirm-email", "undo-email-change", "undo-deletion"])(
  "a link to /%s is taken apart, with and without a slash at its end",
  (page) => {
    const link = { page, uidb64: "MQ", token: "t0-_ken" };
    expect(linkIn(`/${page}/MQ/t0-_ken`)).toEqual(link);
    expect(linkIn(`/${page}/MQ/t0-_ken/`)).toEqual(link);
  },
);

test.each(["/", "/login", "/reset-password", "/reset-password/MQ", "/reset-password/MQ/a/b", "/x/reset-password/MQ/a"])(
  "%s is no mailed link",
  (path) => {
    expect(linkIn(path)).toBeNull();
  },
);
