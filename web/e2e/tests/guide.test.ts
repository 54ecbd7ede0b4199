/** The code in docs/react.md, as it stands there, in a browser and against the service. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, type Rolldown } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSite } from "../support/site";
import { COOKIE_MODE, Stage } from "../support/stage";

const GUIDE = readFileSync(new URL("../../../docs/react.md", import.meta.url), "utf8");
const FOLDER = new URL("../.guide/", import.meta.url).pathname; // from where packages are found
const BLOCK = /^```jsx?\n\/\/ (\S+)\n(.*?)^```$/gms;
const MAIN = `
  import * as login from "./login.js";
  import * as refreshing from "./refreshing.js";
  import { identity } from "./identity.js";
  import { Account } from "./account.jsx";
  import * as withAxios from "./with-axios.js";
  import * as withCookie from "./with-cookie.js";
  import { createElement } from "react";
  import { createRoot } from "react-dom/client";
  Object.assign(window, { login, refreshing, identity, withAxios, withCookie });
  createRoot(document.getElementById("app")).render(createElement(Account));
`;
const PAGE = '<!doctype html><title>Guide</title><link rel="icon" href="data:,"><div id="app"></div><script type="module" src="/main.js"></script>';
const john = { username: "john_doe", email: "john@example.com", password: "yourpassword123" };

/** What `MAIN` gives to the page. */
type Given = typeof globalThis & Record<"login" | "refreshing" | "withAxios" | "withCookie", any>;

let script: string;

beforeAll(async () => {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER);
  for (const [, name, code] of GUIDE.matchAll(BLOCK)) writeFileSync(join(FOLDER, name!), code!);
  writeFileSync(join(FOLDER, "main.js"), MAIN);
  script = await built();
});

afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

test("each block of the guide is a module that is tried here", () => {
  const named = [...GUIDE.matchAll(BLOCK)].map(([, name]) => name!);
  expect(named.length).toBe(GUIDE.match(/^```js/gm)?.length);
  expect(named.filter((name) => !MAIN.includes(`./${name}`))).toEqual([]);
});

describe.each([
  ["bodies", {}],
  ["a cookie", { ...COOKIE_MODE }],
])("with refresh tokens in %s, on the service's own origin,", (mode, settings) => {
  const stage = new Stage();

  beforeAll(async () => {
    await stage.raise(settings);
    await stage.service.post("/api/auth/register/", john);
  });
  afterAll(() => stage.strike());

  /** The guide's page in place of the app's. */
  async function open() {
    const page = await stage.page({ bypassCSP: true });
    await page.route(/\/(main\.js)?$/, (route) => {
      const { pathname } = new URL(route.request().url());
      if (pathname === "/") return route.fulfill({ contentType: "text/html", body: PAGE });
      if (pathname === "/main.js") return route.fulfill({ contentType: "text/javascript", body: script });
      return route.fallback();
    });
    await page.goto("/");
    await page.getByLabel("Username").waitFor();
    return page;
  }

  test("the component logs in and out, and says what is wrong", async () => {
    const page = await open();
    await page.getByLabel("Username").fill(john.username);
    await page.getByLabel("Password").fill("wrong");
    await page.getByText("Log in").click();
    await page.getByText("Wrong name or password.").waitFor();
    await page.getByLabel("Password").fill(john.password);
    await page.getByText("Log in").click();
    await page.getByText("Hello, john_doe").waitFor();
    const answer = await page.evaluate(() => (globalThis as Given).withAxios.api.get("/api/user/profile/").then((each: any) => each.data));
    expect(answer).toMatchObject({ email: john.email });
    await page.reload();
    await page.getByText("Hello, john_doe").waitFor();
    await page.getByText("Log out").click();
    await page.getByLabel("Username").waitFor();
    expect(stage.problems).toEqual([]);
  });

  test.runIf(mode === "bodies")("the code for axios alone refreshes once for many requests", async () => {
    const page = await open();
    const refreshes: string[] = [];
    page.on("request", (request) => /token\/refresh/.test(request.url()) && refreshes.push(request.url()));
    await page.evaluate(({ username, password }) => (globalThis as Given).login.logIn(username, password), john);
    const names = await page.evaluate(async () => {
      localStorage.setItem("access_token", "one that is over");
      const ask = () => (globalThis as Given).refreshing.api.get("/api/user/profile/");
      return (await Promise.all([ask(), ask(), ask()])).map((each) => each.data.username);
    });
    expect(names).toEqual(["john_doe", "john_doe", "john_doe"]);
    expect(refreshes.length).toBe(1);
  });

  test.runIf(mode === "a cookie")("the code for axios with the cookie logs in, refreshes and logs out", async () => {
    const page = await open();
    const types = await page.evaluate(async ({ username, password }) => {
      const { withCookie } = globalThis as Given;
      const tokens = [await withCookie.logIn(username, password), await withCookie.refresh()];
      await withCookie.logOut();
      return [...tokens.map((each) => typeof each), await withCookie.refresh().catch((error: any) => error.response.status)];
    }, john);
    expect(types).toEqual(["string", "string", 401]);
  });
});

test("a page of another origin gets a profile by the code for identity-client", async () => {
  const stage = new Stage();
  const files: Record<string, string> = { "/": PAGE };
  const site = await openSite(files);
  try {
    await stage.raise({ IDENTITY_CORS_ORIGINS: site.origin });
    await stage.service.post("/api/auth/register/", john);
    const page = await stage.page();
    files["/main.js"] = await scriptFor(stage.service.url);
    await page.goto(site.origin);
    await page.getByLabel("Username").fill(john.username);
    await page.getByLabel("Password").fill(john.password);
    await page.getByText("Log in").click();
    await page.getByText("Hello, john_doe").waitFor();
    expect(stage.problems).toEqual([]);
  } finally {
    await stage.strike();
    site.close();
  }
});

/** With the service elsewhere, as the comment in the guide has it. */
async function scriptFor(baseUrl: string): Promise<string> {
  const file = join(FOLDER, "identity.js");
  const before = readFileSync(file, "utf8");
  const after = before.replace("createIdentity()", `createIdentity({ baseUrl: "${baseUrl}" })`);
  expect(after).not.toBe(before);
  writeFileSync(file, after);
  return built().finally(() => writeFileSync(file, before));
}

async function built(): Promise<string> {
  const output = (await build({
    root: FOLDER,
    configFile: false,
    logLevel: "error",
    build: { write: false, modulePreload: false, rollupOptions: { input: join(FOLDER, "main.js") } },
  })) as Rolldown.RolldownOutput;
  return output.output[0].code;
}
