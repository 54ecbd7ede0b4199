import axe from "axe-core";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { button, field, go, openAs, shows } from "../support/pages";
import { accountOf, type Account } from "../support/service";
import { COOKIE_MODE, useStage } from "../support/stage";

const DESK = { width: 1200, height: 800 };
const PHONE = { width: 375, height: 800 };
const FOLDER = new URL("../screenshots/", import.meta.url).pathname;

describe("in light and in dark, and tables on a phone, axe finds nothing wrong on", () => {
  const stage = useStage({ ...COOKIE_MODE, IDENTITY_LOGIN_FREE_FAILURES: "1" });
  let ada: Account;
  let stranger: Page;
  let page: Page;

  beforeAll(async () => {
    ada = await stage.service.registerSuperuser("ada");
    for (const name of ["bob", "carla-with-a-rather-long-username", "dora"]) await stage.service.register(name);
    await stage.service.command("users", "disable", "bob");
    stranger = await stage.page({ viewport: DESK });
    page = await stage.page({ viewport: DESK });
    await openAs(page, ada);
    await openAs(await stage.page(), ada); // another device
  });

  /** Looks at what is shown by now, and keeps pictures of it. */
  async function inspect(page: Page, name: string): Promise<void> {
    const looks = [
      ["light", "light", DESK],
      ["dark", "dark", DESK],
      ["phone", "light", PHONE],
    ] as const;
    for (const [look, colorScheme, size] of looks) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(size);
      await page.screenshot({ path: `${FOLDER}${name}-${look}.png`, fullPage: true, animations: "disabled" });
      const isAsBefore = look === "phone" && (await page.getByRole("table").count()) === 0;
      if (!isAsBefore) expect(await faultsOf(page), `${name}, ${look}`).toEqual([]);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      expect(width, `${name}, ${look}: wider than the window`).toBeLessThanOrEqual(size.width);
    }
    await page.setViewportSize(DESK);
    await page.emulateMedia({ colorScheme: "light" });
  }

  test.each([
    ["login", "/login", "Log in"],
    ["register", "/register", "Open an account"],
    ["forgot-password", "/forgot-password", "Forgot your password?"],
    ["verify-again", "/verify-email", "Verify your e-mail address"],
    ["reset", "/reset-password/MQ/a-token", "Set a new password"],
    ["verify-email", "/verify-email/MQ/a-token", "Verify your e-mail address"],
    ["confirm-email", "/confirm-email/MQ/a-token", "Confirm your new e-mail address"],
    ["undo-email-change", "/undo-email-change/MQ/a-token", "Take your e-mail address back"],
    ["undo-deletion", "/undo-deletion/MQ/a-token", "Keep your account"],
    ["link-gone", "/reset-password", "Open the link again"],
    ["account-closed", "/account-closed", "Your account is closed"],
    ["not-found", "/nothing/here", "Page not found"],
  ])("%s", async (name, path, heading) => {
    await stranger.goto(path);
    await shows(stranger, heading);
    await inspect(stranger, name);
  });

  test("a form with mistakes in it", async () => {
    await stranger.goto("/register");
    await field(stranger, "Username").fill("not a username");
    await field(stranger, "E-mail address").fill("nowhere");
    await field(stranger, "Password").fill("12345678");
    await button(stranger, "Open account").click();
    await stranger.getByText("This password is entirely numeric.").waitFor();
    await inspect(stranger, "register-mistakes");
  });

  test("what comes of forms: an account, a mail, a link that does not work", async () => {
    await stranger.goto("/register");
    const emma = accountOf("emma");
    await field(stranger, "Username").fill(emma.username);
    await field(stranger, "E-mail address").fill(emma.email);
    await field(stranger, "Password").fill(emma.password);
    await button(stranger, "Open account").click();
    await shows(stranger, "Your account is ready");
    await inspect(stranger, "register-done");
    await stranger.goto("/forgot-password");
    await field(stranger, "E-mail address").fill(emma.email);
    await button(stranger, "Mail the link").click();
    await shows(stranger, "Look into your mail");
    await inspect(stranger, "forgot-password-done");
    await stranger.goto("/verify-email/MQ/a-token");
    await button(stranger, "Verify address").click();
    await shows(stranger, "This link does not work any more");
    await inspect(stranger, "link-expired");
  });

  test("a login that has to wait", async () => {
    await stranger.route("**/api/auth/login/", (route) =>
      route.fulfill({ status: 429, headers: { "Retry-After": "3600" }, json: { detail: "Request was throttled." } }),
    );
    await stranger.goto("/login");
    await field(stranger, "Username or e-mail address").fill("dora");
    await field(stranger, "Password").fill("wrong");
    await field(stranger, "Password").press("Enter");
    await stranger.getByRole("alert").getByText("Too many attempts").waitFor();
    await inspect(stranger, "login-throttled");
    await stranger.unroute("**/api/auth/login/");
  });

  test.each([
    ["overview", "Overview", "Hello, ada"],
    ["profile", "Profile", "Profile"],
    ["password", "Password", "Change your password"],
    ["email", "E-mail address", "Change your e-mail address"],
    ["sessions", "Sessions", "Where you are logged in"],
    ["data", "My data", "My data"],
  ])("%s", async (name, link, heading) => {
    await go(page, link);
    await shows(page, heading);
    if (name === "sessions") await page.getByText("This device").waitFor();
    await inspect(page, name);
  });

  test("a dialog", async () => {
    await go(page, "My data");
    await button(page, "Delete account").click();
    await page.getByRole("dialog").waitFor();
    await inspect(page, "dialog");
    await page.keyboard.press("Escape");
  });

  test("a page that could not be loaded", async () => {
    await page.route("**/api/user/sessions/", (route) => route.abort());
    await go(page, "Sessions");
    await page.getByText("This could not be loaded").waitFor();
    await inspect(page, "not-loaded");
    await page.unrouteAll();
  });

  test("the accounts, and one of them", async () => {
    await page.goto("/admin/users");
    await page.getByRole("link", { name: "bob" }).waitFor();
    await inspect(page, "admin-users");
    await page.getByRole("link", { name: "bob" }).click();
    await shows(page, "Account bob");
    await inspect(page, "admin-user");
    await button(page, "Make an administrator").click();
    await page.getByRole("dialog").waitFor();
    await inspect(page, "admin-dialog");
    await page.keyboard.press("Escape");
  });

  test("the audit log, and its filter", async () => {
    await page.goto("/admin/audit");
    await page.getByRole("table").waitFor();
    await inspect(page, "admin-audit");
    await page.locator("summary").click();
    await inspect(page, "admin-audit-filter");
  });

  test("the outbox", async () => {
    const letter = {
      id: "5d1f",
      kind: "password_reset",
      user_id: 3,
      email: null,
      created_at: "2025-11-02T09:30:00Z",
      due_at: "2025-11-02T09:45:00Z",
      attempts: 4,
      dead_at: "2025-11-02T10:45:00Z",
      error: "550 5.1.1 <dora@example.com>: Recipient address rejected: User unknown in local recipient table",
    };
    await page.goto("/admin/outbox");
    await page.getByText("No mail is waiting.").waitFor();
    await inspect(page, "admin-outbox");
    await page.route("**/api/admin/outbox/?*", (route) => route.fulfill({ json: { letters: [letter], next: null } }));
    await page.getByRole("link", { name: "Given up" }).click();
    await page.getByRole("table", { name: "Given up" }).waitFor();
    await inspect(page, "admin-outbox-dead");
    await page.unrouteAll();
  });

  test("but finds what is wrong, where there is something", async () => {
    await stranger.goto("/login");
    await shows(stranger, "Log in");
    await stranger.evaluate(() => document.querySelector("label")!.remove());
    expect((await faultsOf(stranger)).join()).toContain("label");
  });

  test("the same in German", async () => {
    await page.goto("/");
    await button(page, "Deutsch").click();
    await shows(page, "Hallo, ada");
    expect(await page.evaluate(() => document.documentElement.lang)).toBe("de");
    await inspect(page, "overview-german");
    await page.goto("/admin/users");
    await shows(page, "Konten");
    await inspect(page, "admin-users-german");
  });
});

/** What axe has to say, of which nothing is passed over. */
async function faultsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: typeof axe }).axe.run());
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}
