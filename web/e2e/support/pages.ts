import type { Locator, Page } from "playwright-core";
import type { Account } from "./service";

/** Waits for the page, or the state of one, that has this heading. */
export async function shows(page: Page, heading: string): Promise<void> {
  await page.getByRole("heading", { level: 1, name: heading, exact: true }).waitFor();
}

export function button(page: Page | Locator, name: string): Locator {
  return page.getByRole("button", { name, exact: true });
}

export function link(page: Page | Locator, name: string): Locator {
  return page.getByRole("link", { name, exact: true });
}

export function field(page: Page | Locator, label: string): Locator {
  return page.getByLabel(label, { exact: true });
}

export async function logIn(page: Page, { username, password }: Pick<Account, "username" | "password">): Promise<void> {
  await field(page, "Username or e-mail address").fill(username);
  await field(page, "Password").fill(password);
  await page.getByRole("main").getByRole("button", { name: "Log in", exact: true }).click();
}

/** Opens the page, which asks for a login first. */
export async function openAs(page: Page, account: Account, path = "/"): Promise<void> {
  await page.goto(path);
  await shows(page, "Log in");
  await logIn(page, account);
  await page.getByRole("navigation", { name: "Account" }).waitFor();
}

/** Goes there as people do, without loading the app anew. */
export async function go(page: Page, name: string): Promise<void> {
  await page.getByRole("navigation", { name: "Account" }).getByRole("link", { name, exact: true }).click();
}
