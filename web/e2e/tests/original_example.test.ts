import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openSite } from "../support/site";
import { Stage } from "../support/stage";

const axios = join(createRequire(import.meta.url).resolve("axios/package.json"), "../dist/axios.min.js");
const page = readFileSync(new URL("../pages/original.html", import.meta.url));
const stage = new Stage();
let site: Awaited<ReturnType<typeof openSite>>;

beforeAll(async () => {
  site = await openSite({ "/": page, "/axios.min.js": readFileSync(axios) });
  await stage.raise({ IDENTITY_CORS_ORIGINS: site.origin });
});

afterAll(async () => {
  await stage.strike();
  site.close();
});

test("the page of the original's description, with axios and localStorage, works unchanged", async () => {
  const john = { username: "john_doe", email: "john@example.com", password: "yourpassword123" };
  expect(await stage.service.post("/api/auth/register/", john)).toEqual({ message: "User created successfully" });
  const tab = await stage.page();
  await tab.goto(`${site.origin}/#${stage.service.url}`);
  await tab.getByText("Log in").click();
  await tab.waitForFunction(() => localStorage.getItem("access_token"));
  await tab.getByText("Who am I?").click();
  await tab.getByText("john@example.com").waitFor();
  expect(stage.problems).toEqual([]);
});

test("a page of an origin that is not allowed is told nothing", async () => {
  const stranger = await openSite({ "/": page, "/axios.min.js": readFileSync(axios) });
  const tab = await stage.page();
  await tab.goto(`${stranger.origin}/#${stage.service.url}`);
  const refused = tab.waitForEvent("pageerror");
  await tab.getByText("Log in").click();
  expect((await refused).message).toContain("Network Error");
  expect(await tab.evaluate(() => localStorage.getItem("access_token"))).toBeNull();
  stranger.close();
});
