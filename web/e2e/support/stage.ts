import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { Mailbox } from "./mailbox";
import { Service } from "./service";

const ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
const QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"];
/** A browser writes each answer beyond 399 to the console, and each request without one. */
const OF_AN_ANSWER = /^Failed to load resource: (the server responded with a status of|net::ERR_)/;

export const COOKIE_MODE = { IDENTITY_REFRESH_COOKIE: "true", IDENTITY_REFRESH_COOKIE_INSECURE: "true" };

/** A service, its mailbox and a browser for the tests of one file. */
export class Stage {
  service!: Service;
  mailbox!: Mailbox;
  browser!: Browser;
  /** What no page should cause: errors on the console, exceptions, violations of the policy. */
  readonly problems: string[] = [];

  async raise(settings: Record<string, string>): Promise<void> {
    this.mailbox = await Mailbox.open();
    [this.service, this.browser] = await Promise.all([
      Service.start({ IDENTITY_MAIL_URL: this.mailbox.url, ...settings }),
      chromium.launch({
        executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
        args: [...ARGUMENTS, ...QUIET],
      }),
    ]);
  }

  async strike(): Promise<void> {
    await this.browser?.close();
    await this.service?.remove();
    this.mailbox?.close();
  }

  /** What a failed test saw, in `screenshots/failed/`. */
  async picture(name: string): Promise<void> {
    const pages = this.browser.contexts().flatMap((context) => context.pages());
    for (const [index, page] of pages.entries()) {
      const path = `screenshots/failed/${name.replace(/\W+/g, "-").slice(0, 80)}-${index}.png`;
      await page.screenshot({ path, timeout: 3000 }).catch(() => undefined);
    }
  }

  /** Somebody with a browser of their own, who sees the app in English. */
  async visitor(options: BrowserContextOptions = {}): Promise<BrowserContext> {
    const context = await this.browser.newContext({ baseURL: this.service.url, locale: "en-GB", ...options });
    context.setDefaultTimeout(10_000);
    context.on("weberror", (error) => this.problems.push(String(error.error())));
    context.on("console", (message) => {
      const isProblem = ["error", "warning"].includes(message.type()) && !OF_AN_ANSWER.test(message.text());
      if (isProblem) this.problems.push(`${message.type()}: ${message.text()} (${message.location().url})`);
    });
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
      });
    });
    return context;
  }

  async page(options: BrowserContextOptions = {}): Promise<Page> {
    return (await this.visitor(options)).newPage();
  }
}

/** For all tests of the block that it is called in. Fails each test during which a page had a problem. */
export function useStage(settings: Record<string, string> = COOKIE_MODE): Stage {
  const stage = new Stage();
  beforeAll(() => stage.raise(settings));
  afterAll(() => stage.strike());
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") await stage.picture(task.name);
    expect(stage.problems.splice(0)).toEqual([]);
  });
  return stage;
}
