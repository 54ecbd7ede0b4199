import type { Locator, Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { button, field, link, shows } from "../support/pages";
import { accountOf } from "../support/service";
import { useStage } from "../support/stage";

const MOST_STOPS = 40; // on one page

// One story, told in order, in which no mouse is touched.
describe("by keyboard alone, one", () => {
  const stage = useStage();
  const mary = accountOf("mary");
  let page: Page;

  beforeAll(async () => {
    page = await stage.page();
  });

  /** By the tabulator, as often as it takes. What has the focus can be seen to have it. */
  async function reach(target: Locator): Promise<void> {
    for (let stop = 0; stop < MOST_STOPS; stop++) {
      await page.keyboard.press("Tab");
      if (await hasFocus(target)) return expect(await isMarked(page)).toBe(true);
    }
    throw new Error(`The tabulator does not lead to ${target}.`);
  }

  async function type(label: string, text: string): Promise<void> {
    await reach(field(page, label));
    await page.keyboard.press("Control+A");
    await page.keyboard.insertText(text);
  }

  async function follow(path: string): Promise<void> {
    await page.goto(await stage.mailbox.link(path, mary.email));
  }

  async function headingHasFocus(heading: string): Promise<void> {
    await shows(page, heading);
    await page.waitForFunction(() => document.activeElement?.tagName === "H1");
  }

  test("skips what is on every page", async () => {
    await page.goto("/");
    await shows(page, "Log in");
    await reach(link(page, "Skip to content"));
    await page.keyboard.press("Enter");
    expect(await hasFocus(page.getByRole("main"))).toBe(true);
    await reach(field(page, "Username or e-mail address"));
  });

  test("opens an account, and is led to the first field that is wrong", async () => {
    await reach(link(page, "Open an account"));
    await page.keyboard.press("Enter");
    await headingHasFocus("Open an account");
    await type("Username", mary.username);
    await type("E-mail address", "mary at example");
    await type("Password", "short");
    await page.keyboard.press("Enter");
    const wrong = field(page, "E-mail address");
    await page.getByText("Enter a valid email address.").waitFor();
    expect(await hasFocus(wrong)).toBe(true);
    expect(await wrong.getAttribute("aria-invalid")).toBe("true");
    expect(await wrong.evaluate((input) => document.getElementById(input.getAttribute("aria-describedby") ?? "")?.textContent)).toBe(
      "Enter a valid email address.",
    );
    expect(await field(page, "Password").inputValue()).toBe("short");
    await page.keyboard.press("Control+A");
    await page.keyboard.insertText(mary.email);
    await type("Password", mary.password);
    await page.keyboard.press("Enter");
    await headingHasFocus("Your account is ready");
  });

  test("verifies the address", async () => {
    await follow("verify-email");
    await shows(page, "Verify your e-mail address");
    await reach(button(page, "Verify address"));
    await page.keyboard.press("Space");
    await headingHasFocus("Your address is verified");
  });

  test("logs in", async () => {
    await reach(link(page, "Go on"));
    await page.keyboard.press("Enter");
    await headingHasFocus("Log in");
    await type("Username or e-mail address", mary.username);
    await type("Password", mary.password);
    await page.keyboard.press("Enter");
    await headingHasFocus(`Hello, ${mary.username}`);
  });

  test("changes the password, which can be looked at while it is typed", async () => {
    await reach(page.getByRole("navigation", { name: "Account" }).getByRole("link", { name: "Password" }));
    await page.keyboard.press("Enter");
    await headingHasFocus("Change your password");
    await type("Current password", mary.password);
    mary.password = "tall ships and small boats";
    await type("New password", mary.password);
    await reach(button(page, "Show password").last());
    await page.keyboard.press("Space");
    expect(await field(page, "New password").getAttribute("type")).toBe("text");
    await reach(button(page, "Change password"));
    await page.keyboard.press("Enter");
    await headingHasFocus("Your password is changed");
  });

  test("begins to delete the account, and leaves the dialog by Escape, to be where it was opened", async () => {
    await reach(page.getByRole("navigation", { name: "Account" }).getByRole("link", { name: "My data" }));
    await page.keyboard.press("Enter");
    await headingHasFocus("My data");
    await reach(button(page, "Delete account"));
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Delete your account?" }).waitFor();
    expect(await hasFocus(field(page, "Current password"))).toBe(true);
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(await hasFocus(button(page, "Delete account"))).toBe(true);
  });

  test("logs out", async () => {
    await reach(button(page, "Log out"));
    await page.keyboard.press("Enter");
    await headingHasFocus("Log in");
  });

  test("sets a forgotten password", async () => {
    await reach(link(page, "Forgot your password?"));
    await page.keyboard.press("Enter");
    await headingHasFocus("Forgot your password?");
    await type("E-mail address", mary.email);
    await page.keyboard.press("Enter");
    await headingHasFocus("Look into your mail");
    await follow("reset-password");
    await shows(page, "Set a new password");
    await type("New password", "the lamp at the end of the pier");
    await page.keyboard.press("Enter");
    await headingHasFocus("The new password is set");
  });
});

function hasFocus(target: Locator): Promise<boolean> {
  return target.evaluateAll((found) => found.includes(document.activeElement as HTMLElement));
}

function isMarked(page: Page): Promise<boolean> {
  return page.evaluate(() => {
    let element = document.activeElement;
    const isRing = (each: Element) => {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(each);
      return (outlineStyle !== "none" && parseFloat(outlineWidth) >= 2) || boxShadow !== "none";
    };
    for (; element && element.tagName !== "FORM"; element = element.parentElement) {
      if (isRing(element)) return true; // the frame of an input is around its buttons too
    }
    return false;
  });
}
