import type { BrowserContext, Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { button, field, go, openAs, shows } from "../support/pages";
import { COOKIE_MODE, useStage } from "../support/stage";

const LIFETIME = 2000; // milliseconds of an access token

describe.each([
  ["a cookie", COOKIE_MODE],
  ["bodies", {}],
])("two tabs of one browser, with refresh tokens in %s,", (_, mode) => {
  const stage = useStage({ ...mode, IDENTITY_ACCESS_LIFETIME: `${LIFETIME / 1000}s` });

  async function twoTabs(username: string): Promise<{ visitor: BrowserContext; one: Page; other: Page }> {
    const account = await stage.service.register(username);
    const visitor = await stage.visitor();
    const one = await visitor.newPage();
    await openAs(one, account);
    // In a window of its own: a tab that is not in front paints nothing, and waiting for it takes seconds.
    const opening = visitor.waitForEvent("page");
    await one.evaluate(() => void window.open("/", "_blank", "popup,noopener"));
    const other = await opening;
    await shows(other, `Hello, ${username}`);
    return { visitor, one, other };
  }

  test("that are used at once stay logged in, by one refresh for each life of an access token", async () => {
    const { visitor, one, other } = await twoTabs("anna");
    const refreshes: number[] = [];
    let answers = 0;
    visitor.on("response", async (response) => {
      if (/token\/refresh\/$/.test(response.url())) refreshes.push(Date.now());
      else if (/\/api\/user\/sessions\/$/.test(response.url()) && response.status() === 200) answers++;
    });
    const begin = Date.now();
    while (Date.now() < begin + 3 * LIFETIME) {
      await Promise.all(
        [one, other].map(async (page) => {
          await go(page, "Sessions");
          await page.getByText("This device").waitFor();
          await go(page, "Overview");
          await shows(page, "Hello, anna");
        }),
      );
    }
    // A token is renewed in the last fifth of its life: three times within three lives, or once more.
    const gaps = refreshes.slice(1).map((at, index) => at - refreshes[index]!);
    expect(refreshes.length).toBeGreaterThanOrEqual(2);
    expect(refreshes.length).toBeLessThanOrEqual(4);
    expect(Math.min(...gaps)).toBeGreaterThan(LIFETIME / 2);
    expect(answers).toBeGreaterThan(5); // it was a busy time
    await visitor.close();
  });

  test("both end when the session is ended in one", async () => {
    const { visitor, one, other } = await twoTabs("bert");
    await button(one, "Log out").click();
    await shows(one, "Log in");
    await shows(other, "Log in again"); // by itself
    expect(await other.getByText("bert@example.com").isVisible()).toBe(false);
    await other.reload();
    await shows(other, "Log in");
    await visitor.close();
  });

  test("that are left lying around go on where they were, after the access token's end", async () => {
    const { visitor, one, other } = await twoTabs("cora");
    await new Promise((resolve) => setTimeout(resolve, LIFETIME + 500));
    await Promise.all([go(one, "Sessions"), go(other, "Sessions")]);
    await Promise.all([one, other].map((page) => page.getByText("This device").waitFor()));
    await visitor.close();
  });

  test("do not mix users: who logs in as somebody else in one is nobody else in the other", async () => {
    const { visitor, one, other } = await twoTabs("dora");
    const emil = await stage.service.register("emil");
    await go(other, "Profile");
    await field(other, "Name (optional)").fill("Dora");
    await button(one, "Log out").click();
    await openAs(one, emil);
    await shows(one, "Hello, emil");
    await other.waitForFunction(() => !document.body.textContent?.includes("dora"));
    expect(await field(other, "Username").inputValue()).toBe("emil");
    expect(await field(other, "Name (optional)").inputValue()).toBe(""); // what Dora typed is not Emil's
    await go(other, "Overview");
    await shows(other, "Hello, emil");
    await other.getByText("emil@example.com").waitFor();
    await visitor.close();
  });
});
