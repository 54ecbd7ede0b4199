import type { Page, Route } from "playwright-core";
import { describe, expect, test } from "vitest";
import { agoInSql, change } from "../support/database";
import { button, field, go, link, logIn, openAs, shows } from "../support/pages";
import { accountOf } from "../support/service";
import { COOKIE_MODE, useStage } from "../support/stage";

describe("when something is wrong", () => {
  const stage = useStage({ ...COOKIE_MODE, IDENTITY_LOGIN_FREE_FAILURES: "2" });

  async function whileDown(work: () => Promise<void>): Promise<void> {
    await stage.service.kill();
    await work().finally(() => stage.service.start());
  }

  async function fillRegistration(page: Page, username: string): Promise<void> {
    const account = accountOf(username);
    await page.goto("/register");
    await field(page, "Username").fill(account.username);
    await field(page, "E-mail address").fill(account.email);
    await field(page, "Password").fill(account.password);
  }

  async function expectFilled(page: Page, username: string): Promise<void> {
    const account = accountOf(username);
    const values = ["Username", "E-mail address", "Password"].map((label) => field(page, label).inputValue());
    expect(await Promise.all(values)).toEqual([account.username, account.email, account.password]);
  }

  async function resetLink(page: Page, username: string): Promise<string> {
    await page.goto("/forgot-password");
    await field(page, "E-mail address").fill(accountOf(username).email);
    await button(page, "Mail the link").click();
    await shows(page, "Look into your mail");
    return stage.mailbox.link("reset-password", accountOf(username).email);
  }

  test("and the server is down, the page says so, keeps what was typed, and goes on when it is back", async () => {
    const page = await stage.page();
    await fillRegistration(page, "gert");
    await whileDown(async () => {
      await button(page, "Open account").click();
      await page.getByRole("alert").getByText("The server cannot be reached. Nothing you typed is lost").waitFor();
      await expectFilled(page, "gert");
    });
    await button(page, "Open account").click();
    await shows(page, "Your account is ready");
  });

  test("and the server goes down under somebody who is logged in, they stay logged in", async () => {
    const page = await stage.page();
    await openAs(page, await stage.service.register("hans"));
    await whileDown(async () => {
      await go(page, "Sessions");
      await page.getByRole("alert").getByText("This could not be loaded").waitFor();
    });
    await button(page, "Try again").click();
    await page.getByText("This device").waitFor();
  });

  test("and the server does not answer at first, the page asks for patience and sends nothing twice", async () => {
    const page = await stage.page();
    const held: Route[] = [];
    await page.route("**/api/auth/register/", (route) => void held.push(route));
    await fillRegistration(page, "ida");
    await button(page, "Open account").click();
    const busy = page.locator("button[type=submit]");
    await page.getByText("One moment …").waitFor();
    expect(await busy.getAttribute("aria-busy")).toBe("true");
    expect(await busy.isDisabled()).toBe(true);
    await field(page, "Password").press("Enter");
    await page.getByText("This takes longer than usual.").waitFor();
    expect(held.length).toBe(1);
    await held[0]!.continue();
    await shows(page, "Your account is ready");
  });

  test("and too many passwords were wrong, the page counts down until the next may be tried", async () => {
    const jan = await stage.service.register("jan");
    const page = await stage.page();
    await page.goto("/login");
    for (let failure = 1; failure <= 3; failure++) {
      await logIn(page, { ...jan, password: `wrong for the ${failure}. time` });
      await page.getByRole("alert").waitFor();
    }
    await page.clock.install();
    await page.route("**/api/auth/login/", (route) =>
      route.fulfill({
        status: 429,
        headers: { "Retry-After": "90" },
        json: { detail: "Request was throttled. Expected available in 90 seconds." },
      }),
    );
    await logIn(page, jan);
    await page.getByText("Too many attempts. For your safety, please wait 90 seconds").waitFor();
    await button(page, "Try again in 90 seconds").waitFor();
    await page.clock.runFor(60_000);
    const waiting = button(page, "Try again in 30 seconds");
    expect(await waiting.isDisabled()).toBe(true);
    await page.clock.runFor(31_000);
    await page.getByText("You can try again now.").waitFor();
    expect(await field(page, "Password").inputValue()).toBe(jan.password);
    await page.unroute("**/api/auth/login/");
    await page.clock.resume();
  });

  test("and the service itself throttles a login, the page tells for how long", async () => {
    const kurt = await stage.service.register("kurt");
    // Each failure doubles the wait, until it is long enough to be seen.
    for (let wait = 0; wait < 3; ) {
      const answer = await fetch(`${stage.service.url}/api/auth/login/`, {
        method: "POST",
        headers: { "Content-Type": "application/json", Origin: stage.service.url },
        body: JSON.stringify({ username: kurt.username, password: "not the right one" }),
      });
      wait = answer.status === 429 ? Number(answer.headers.get("Retry-After")) : 0;
      if (wait < 3) await new Promise((resolve) => setTimeout(resolve, wait * 1000));
    }
    const page = await stage.page();
    await page.goto("/login");
    await logIn(page, kurt);
    await page.getByText("Too many attempts. For your safety, please wait").waitFor();
    await page.getByRole("button", { name: /^Try again in \d+ seconds?$/ }).waitFor();
    await page.getByText("You can try again now.").waitFor();
    await page.getByRole("main").getByRole("button", { name: "Log in" }).click();
    await shows(page, "Hello, kurt");
  });

  test("and the server is too busy, a login is tried again by itself, and another form says so", async () => {
    const lena = await stage.service.register("lena");
    const page = await stage.page();
    let refusals = 0;
    await page.route(/\/api\/auth\/(login|register)\/$/, (route) =>
      refusals++ === 0 ? route.fulfill(busy()) : route.continue(),
    );
    await openAs(page, lena);
    expect(refusals).toBe(2);
    const stranger = await stage.page();
    await stranger.route("**/api/auth/register/", (route) => route.fulfill(busy()));
    await fillRegistration(stranger, "mona");
    await button(stranger, "Open account").click();
    await stranger.getByRole("alert").getByText("The server is very busy just now.").waitFor();
    await expectFilled(stranger, "mona");
    await stranger.unrouteAll();
    await button(stranger, "Open account").click();
    await shows(stranger, "Your account is ready");
  });

  test("and the network is away, a banner says so until it is back", async () => {
    const page = await stage.page();
    await fillRegistration(page, "nils");
    await page.context().setOffline(true);
    await page.getByText("You are offline.").waitFor();
    await button(page, "Open account").click();
    await page.getByText("You seem to be offline. Nothing you typed is lost").waitFor();
    await expectFilled(page, "nils");
    await page.context().setOffline(false);
    await page.getByText("You are offline.").waitFor({ state: "detached" });
    await button(page, "Open account").click();
    await shows(page, "Your account is ready");
  });

  test("and a link is too old, its page says so and leads to a new one", async () => {
    await stage.service.register("oskar");
    const page = await stage.page();
    const mailed = await resetLink(page, "oskar");
    await change(stage.service, `UPDATE one_time_tokens SET expires_at = ${agoInSql("1 minute")}`);
    await page.goto(mailed);
    await field(page, "New password").fill("a lamp in every window");
    await button(page, "Set password").click();
    await shows(page, "This link does not work any more");
    await link(page, "Ask for a new link").click();
    await shows(page, "Forgot your password?");
  });

  test("and a link is opened twice, the second time is told so", async () => {
    await stage.service.register("paul");
    const mailed = await stage.mailbox.link("verify-email", "paul@example.com");
    const page = await stage.page();
    await page.goto(mailed);
    await button(page, "Verify address").click();
    await shows(page, "Your address is verified");
    await page.goto(mailed);
    await button(page, "Verify address").click();
    await shows(page, "This link does not work any more");
    await page.getByText("If you have used it before, your address is verified already.").waitFor();
  });

  test("and a mailed link's page is loaded again, it asks to open the mail once more", async () => {
    await stage.service.register("quinn");
    const page = await stage.page();
    await page.goto(await resetLink(page, "quinn"));
    await shows(page, "Set a new password");
    await page.reload();
    await shows(page, "Open the link again");
  });

  test("and the new password is too weak, the link stays good and what was typed stays there", async () => {
    const rosa = await stage.service.register("rosa");
    const page = await stage.page();
    await page.goto(await resetLink(page, "rosa"));
    await field(page, "New password").fill("password123");
    await button(page, "Set password").click();
    await page.getByText("This password is too common.").waitFor();
    expect(await field(page, "New password").inputValue()).toBe("password123");
    await field(page, "New password").fill("a lamp in every window");
    await button(page, "Set password").click();
    await shows(page, "The new password is set");
    await openAs(page, { ...rosa, password: "a lamp in every window" });
  });

  test("and the session ends while somebody types, what they typed is there after the next login", async () => {
    const sven = await stage.service.register("sven");
    const page = await stage.page();
    await openAs(page, sven);
    await go(page, "Profile");
    await field(page, "Name (optional)").fill("Sven of the long sentence");
    await stage.service.post("/api/auth/logout-all/", {}, await stage.service.logIn(sven));
    await button(page, "Save").click();
    await shows(page, "Log in again");
    await logIn(page, sven);
    await shows(page, "Profile");
    expect(await field(page, "Name (optional)").inputValue()).toBe("Sven of the long sentence");
    await button(page, "Save").click();
    await page.getByText("Saved.").waitFor();
  });

  test("and there is no such page, it says so", async () => {
    const page = await stage.page();
    await page.goto("/no/such/page");
    await shows(page, "Page not found");
    await link(page, "To the start page").click();
    await shows(page, "Log in");
  });
});

function busy() {
  return {
    status: 503,
    headers: { "Retry-After": "1" },
    json: { detail: "Service temporarily unavailable, try again later." },
  };
}
