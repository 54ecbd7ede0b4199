import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { agoInSql, change } from "../support/database";
import { button, field, go, link, logIn, openAs, shows } from "../support/pages";
import type { Account } from "../support/service";
import { COOKIE_MODE, useStage } from "../support/stage";
import { until } from "../support/until";

const PEOPLE = 30; // more than are on a page

describe("an administrator", () => {
  const stage = useStage({ ...COOKIE_MODE, IDENTITY_SUPERUSER_LOGIN_LIFETIME: "12h" });
  let ada: Account;
  let page: Page;

  beforeAll(async () => {
    ada = await stage.service.registerSuperuser("ada");
    for (let each = 1; each <= PEOPLE; each++) await stage.service.register(`person-${String(each).padStart(2, "0")}`);
    page = await stage.page();
    await openAs(page, ada);
  });

  /** Somebody with an account, who is logged in. */
  async function someone(username: string): Promise<{ account: Account; tab: Page }> {
    const account = await stage.service.register(username);
    const tab = await stage.page();
    await openAs(tab, account);
    return { account, tab };
  }

  async function openAccount(username: string): Promise<void> {
    await page.goto("/admin/users");
    await page.getByRole("searchbox").fill(username);
    await link(page, username).click();
    await shows(page, `Account ${username}`);
  }

  async function act(label: string, done: string): Promise<void> {
    await button(page, label).click();
    await button(page.getByRole("dialog"), label).click();
    await page.getByText(done).waitFor();
  }

  test("finds the administration in the menu, which nobody else does", async () => {
    await go(page, "Administration");
    await shows(page, "Accounts");
    const { tab } = await someone("olga");
    expect(await link(tab, "Administration").count()).toBe(0);
    await tab.goto("/admin/users");
    await tab.getByText("Only administrators may see this.").waitFor();
    expect(await tab.getByRole("table").count()).toBe(0);
    await tab.context().close();
  });

  test("goes through all accounts page by page", async () => {
    await page.goto("/admin/users");
    const rows = page.getByRole("table", { name: "Accounts" }).getByRole("row");
    const named = async () => (await rows.allTextContents()).slice(1);
    await rows.nth(25).waitFor();
    const first = await named();
    await link(page, "Next page").click();
    await page.waitForURL(/after=/);
    await link(page, "Next page").waitFor({ state: "detached" });
    const second = await named();
    expect(first.length).toBe(25);
    expect(new Set([...first, ...second]).size).toBeGreaterThanOrEqual(PEOPLE + 1);
    await link(page, "First page").click();
    await rows.nth(25).waitFor();
  });

  test("searches, by what is typed and no button", async () => {
    await page.goto("/admin/users");
    await page.getByRole("searchbox").fill("person-17");
    await link(page, "person-17").waitFor();
    await link(page, "person-16").waitFor({ state: "detached" });
    await page.getByRole("searchbox").fill("nobody at all");
    await page.getByText("Nothing found.").waitFor();
  });

  test("disables an account, whose owner is logged out by that, and enables it again", async () => {
    const { account, tab } = await someone("bob");
    await openAccount("bob");
    await act("Disable", "The account is disabled.");
    await go(tab, "Sessions");
    await shows(tab, "Log in again");
    await logIn(tab, account);
    await tab.getByText("do not belong together").waitFor();
    await act("Enable", "The account is enabled.");
    await logIn(tab, account);
    await tab.getByText("This device").waitFor();
    await tab.context().close();
  });

  test("takes a password away, and its owner is mailed a link to set another", async () => {
    const { account, tab } = await someone("carl");
    await openAccount("carl");
    await act("Force a new password", "The password is gone, and a link is on its way.");
    await tab.goto(await stage.mailbox.link("reset-password", account.email));
    account.password = "a lighthouse and its keeper";
    await field(tab, "New password").fill(account.password);
    await button(tab, "Set password").click();
    await shows(tab, "The new password is set");
    await openAs(tab, account);
    await tab.context().close();
  });

  test("logs somebody out everywhere", async () => {
    const { tab } = await someone("dean");
    await openAccount("dean");
    await act("Log out everywhere", "All sessions have ended.");
    await go(tab, "Sessions");
    await shows(tab, "Log in again");
    await tab.context().close();
  });

  test("is asked before anything is done, and may think better of it", async () => {
    await openAccount("person-05");
    await button(page, "Make an administrator").click();
    const dialog = page.getByRole("dialog", { name: "Make person-05 an administrator?" });
    await button(dialog, "Cancel").click();
    await dialog.waitFor({ state: "detached" });
    expect(await button(page, "Make no administrator").count()).toBe(0);
  });

  test("cannot stop being the last one", async () => {
    await openAccount("ada");
    await button(page, "Make no administrator").click();
    await button(page.getByRole("dialog"), "Make no administrator").click();
    await page.getByText("This is the last administrator.").waitFor();
    await page.keyboard.press("Escape");
  });

  test("filters the audit log by what happened and to whom", async () => {
    await page.goto("/admin/audit");
    const rows = page.getByRole("table").getByRole("row");
    await rows.nth(1).waitFor();
    await page.locator("summary").click();
    await field(page, "What happened").selectOption("AccountDisabled");
    await button(page, "Filter").click();
    await page.waitForURL(/kind=AccountDisabled/);
    await until("one event", async () => (await rows.count()) === 2);
    expect(await rows.nth(1).textContent()).toContain("Account disabled");
    await button(page, "Show all").click();
    await until("all events", async () => (await rows.count()) > 10);
  });

  test("has a mail tried again that was given up", async () => {
    const lost = { username: "frida", email: "frida@lost.example", password: "a quiet harbour at dawn" };
    stage.mailbox.unknown.add(lost.email);
    await stage.service.post("/api/auth/register/", lost);
    await page.goto("/admin/outbox?state=dead");
    await until("a mail that was given up", async () => {
      await button(page, "Refresh").click();
      return (await page.getByRole("table").getByText("Link to verify the address").count()) > 0;
    });
    stage.mailbox.unknown.clear();
    await page.getByRole("button", { name: /^Try again: Link to verify the address to / }).click();
    await page.getByText("The mail is tried again.").waitFor();
    expect(await stage.mailbox.link("verify-email", lost.email)).toContain("/verify-email/");
    await page.getByText("No mail was given up.").waitFor();
  });

  test("logs in again when the last login was too long ago, and is where they were", async () => {
    await openAccount("person-08");
    await change(stage.service, `UPDATE sessions SET created_at = ${agoInSql("1 day")}`);
    await button(page, "Log out everywhere").click();
    await button(page.getByRole("dialog"), "Log out everywhere").click();
    await page.getByText("your login was too long ago").waitFor();
    await page.keyboard.press("Escape");
    await page.reload();
    await page.getByRole("heading", { name: "Log in again" }).waitFor();
    expect(await field(page, "Username or e-mail address").inputValue()).toBe("ada");
    await field(page, "Password").fill(ada.password);
    await page.getByRole("main").getByRole("button", { name: "Log in", exact: true }).click();
    await shows(page, "Account person-08");
    await act("Log out everywhere", "All sessions have ended.");
  });
});
