import { readFile } from "node:fs/promises";
import type { BrowserContext, Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { button, field, go, link, logIn, openAs, shows } from "../support/pages";
import { accountOf } from "../support/service";
import { COOKIE_MODE, useStage } from "../support/stage";

// One story, told in order: each test goes on where the one before it ended.
describe.each([
  ["a cookie", COOKIE_MODE],
  ["bodies", {}],
])("with refresh tokens in %s, one", (_, settings) => {
  const stage = useStage(settings);
  const john = accountOf("john_doe");
  const another = "john@another.example";
  let visitor: BrowserContext;
  let page: Page;

  beforeAll(async () => {
    visitor = await stage.visitor();
    page = await visitor.newPage();
  });

  /** Follows a mailed link, in this tab; what it carries is not left in the address. */
  async function follow(path: string, address: string, heading: string): Promise<void> {
    const mailed = await stage.mailbox.link(path, address);
    await page.goto(mailed);
    await shows(page, heading);
    const token = mailed.split("/").at(-1)!;
    expect(token.length).toBeGreaterThan(20);
    expect(page.url()).toBe(`${stage.service.url}/${path}`);
    expect(await page.content()).not.toContain(token);
  }

  async function logOut(): Promise<void> {
    await button(page, "Log out").click();
    await shows(page, "Log in");
  }

  test("opens an account", async () => {
    await page.goto("/");
    await shows(page, "Log in");
    await link(page, "Open an account").click();
    await shows(page, "Open an account");
    await field(page, "Username").fill(john.username);
    await field(page, "E-mail address").fill(john.email);
    await field(page, "Password").fill(john.password);
    await button(page, "Open account").click();
    await shows(page, "Your account is ready");
  });

  test("verifies the address by the mailed link, which does nothing before the button is pressed", async () => {
    await follow("verify-email", john.email, "Verify your e-mail address");
    const asked = page.waitForRequest(/\/api\/auth\/verify-email\/$/);
    await button(page, "Verify address").click();
    await asked;
    await shows(page, "Your address is verified");
  });

  test("logs in, with the address in place of the name", async () => {
    await link(page, "Go on").click();
    await shows(page, "Log in");
    await logIn(page, { ...john, username: john.email });
    await shows(page, `Hello, ${john.username}`);
    await page.getByText("verified", { exact: true }).waitFor();
  });

  test("keeps the access token nowhere, and the refresh token only where bodies bring it", async () => {
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
    const [local, session, cookies] = JSON.parse(kept) as [Record<string, string>, object, string];
    expect([session, cookies]).toEqual([{}, ""]);
    const tokens = Object.values(local).filter((each) => each.split(".").length === 3);
    const types = tokens.map((each) => JSON.parse(Buffer.from(each.split(".")[1]!, "base64url").toString()).token_type);
    expect(types).toEqual(settings === COOKIE_MODE ? [] : ["refresh"]);
  });

  test("changes the profile", async () => {
    await go(page, "Profile");
    await shows(page, "Profile");
    await field(page, "Name (optional)").fill("John the Quiet");
    await field(page, "Language of mails").selectOption("de");
    await button(page, "Save").click();
    await page.getByText("Saved.").waitFor();
    await go(page, "Overview");
    await shows(page, "Hello, John the Quiet");
    await page.reload();
    await shows(page, "Hello, John the Quiet");
  });

  test("changes the password", async () => {
    await go(page, "Password");
    await field(page, "Current password").fill(john.password);
    john.password = "another harbour at dusk";
    await field(page, "New password").fill(john.password);
    await button(page, "Change password").click();
    await shows(page, "Your password is changed");
    await logOut();
  });

  test("sets a forgotten password by the mailed link", async () => {
    await link(page, "Forgot your password?").click();
    await shows(page, "Forgot your password?");
    await field(page, "E-mail address").fill(john.email);
    await button(page, "Mail the link").click();
    await shows(page, "Look into your mail");
    await follow("reset-password", john.email, "Set a new password");
    john.password = "a third harbour at noon";
    await field(page, "New password").fill(john.password);
    await button(page, "Set password").click();
    await shows(page, "The new password is set");
  });

  test("logs in with it", async () => {
    await page.getByRole("main").getByRole("link", { name: "Log in", exact: true }).click();
    await shows(page, "Log in");
    expect(await field(page, "Username or e-mail address").inputValue()).toBe(john.email);
    await logIn(page, john);
    await shows(page, "Hello, John the Quiet");
  });

  test("changes the e-mail address, which the new one confirms", async () => {
    await go(page, "E-mail address");
    await field(page, "New e-mail address").fill(another);
    await field(page, "Current password").fill(john.password);
    await button(page, "Mail the link").click();
    await shows(page, "Look into the mail of your new address");
    await follow("confirm-email", another, "Confirm your new e-mail address");
    await button(page, "Confirm address").click();
    await shows(page, "Your account has its new address");
    await link(page, "To the start page").click();
    await page.getByText(another).waitFor();
  });

  test("sees the other device, and ends its session", async () => {
    const elsewhere = await stage.page();
    await openAs(elsewhere, john);
    await go(page, "Sessions");
    await page.getByText("This device").waitFor();
    await button(page, "Log out Chrome on Linux").click();
    await button(page.getByRole("dialog"), "Log out").click();
    await page.getByText("The device is logged out.").waitFor();
    await page.getByText("You are logged in nowhere else.").waitFor();
    await go(elsewhere, "Sessions");
    await shows(elsewhere, "Log in again");
    await elsewhere.context().close();
  });

  test("downloads what is kept of the account", async () => {
    await go(page, "My data");
    const [download] = await Promise.all([page.waitForEvent("download"), button(page, "Download").click()]);
    const kept = JSON.parse(await readFile(await download.path(), "utf8"));
    expect(download.suggestedFilename()).toMatch(/\.json$/);
    expect(JSON.stringify(kept)).toContain(another);
  });

  test("deletes the account", async () => {
    await button(page, "Delete account").click();
    const dialog = page.getByRole("dialog", { name: "Delete your account?" });
    await field(dialog, "Current password").fill(john.password);
    await button(dialog, "Delete account").click();
    await shows(page, "Your account is closed");
    await page.getByText("It will be erased after").waitFor();
  });

  test("thinks better of it, and follows the link that opens the account again", async () => {
    await follow("undo-deletion", another, "Keep your account");
    await button(page, "Keep my account").click();
    await shows(page, "Your account is open again");
    await page.getByRole("main").getByRole("link", { name: "Log in", exact: true }).click();
    await logIn(page, { ...john, username: another });
    await shows(page, "Hello, John the Quiet");
  });

  test("takes the old address back by the link that was mailed there", async () => {
    await follow("undo-email-change", john.email, "Take your e-mail address back");
    await button(page, "Take the address back").click();
    await shows(page, "Your account has its old address again");
    await link(page, "Set a new password").click();
    await shows(page, "Forgot your password?");
  });
});
