import axios, { AxiosError, AxiosHeaders, type InternalAxiosRequestConfig } from "axios";
import { expect, test } from "vitest";
import { attachTo } from "../src/axios";
import * as service from "./service";
import { PROFILE, REFRESH, Service, settled, tokenRefused } from "./service";

async function attached() {
  const server = new Service();
  const browser = service.browser(server);
  const tab = browser.tab();
  const elsewhere: InternalAxiosRequestConfig[] = [];
  const instance = axios.create({
    baseURL: browser.baseUrl,
    adapter: async (config) => {
      if (!axios.getUri(config).startsWith(browser.baseUrl)) elsewhere.push(config);
      const headers = AxiosHeaders.from(config.headers).toJSON() as Record<string, string>;
      const { method = "get", data = null } = config;
      const response = await server.fetch(axios.getUri(config), { method, headers, body: data });
      const { status, statusText } = response;
      const answer = { data: await response.json(), status, statusText, headers: {}, config };
      if (response.ok) return answer;
      throw new AxiosError(`status ${status}`, undefined, config, null, answer);
    },
  });
  attachTo(instance, tab);
  await tab.login({ username: "1", password: "right" });
  server.log.length = 0;
  return { server, browser, tab, instance, elsewhere };
}

test("a burst with a refused token refreshes once, and repeats each request once", async () => {
  const { server, instance } = await attached();
  server.voidAccess();
  const answers = await Promise.all(Array.from({ length: 20 }, () => instance.get("/api/user/profile/")));
  expect(answers.map(({ data }) => data.id)).toEqual(Array(20).fill(1));
  expect([server.count(REFRESH), server.count(PROFILE)]).toEqual([1, 40]);
});

test("a body is repeated as it was", async () => {
  const { server, instance } = await attached();
  const path = "POST /api/user/change-email/";
  server.answerWith(path, () => tokenRefused(""), () => service.json(200, {}));
  await instance.post("/api/user/change-email/", { new_email: "a@example.com" });
  const bodies = server.requests.slice(-3).filter(({ url }) => url.endsWith("change-email/"));
  expect(await Promise.all(bodies.map((each) => each.json()))).toEqual(Array(2).fill({ new_email: "a@example.com" }));
});

test("a second 401 is thrown as axios does", async () => {
  const { server, instance } = await attached();
  server.answerWith(PROFILE, ...Array(3).fill(() => tokenRefused("no")));
  await expect(instance.get("/api/user/profile/")).rejects.toMatchObject({ response: { status: 401 } });
  expect([server.count(REFRESH), server.count(PROFILE)]).toEqual([1, 2]);
});

test("without a session the refusal is thrown, and nothing is repeated", async () => {
  const { server, tab, instance } = await attached();
  await tab.logout();
  await expect(instance.get("/api/user/profile/")).rejects.toMatchObject({ response: { status: 401 } });
  expect([server.count(REFRESH), server.count(PROFILE)]).toEqual([0, 1]);
});

test("no other origin gets the token", async () => {
  const { browser, instance, elsewhere } = await attached();
  await instance.get("http://elsewhere.test/api/user/profile/").catch(() => undefined);
  await instance.get(`//elsewhere.test/api/user/profile/`).catch(() => undefined);
  await instance.get(`${browser.baseUrl}.evil.test/`).catch(() => undefined);
  expect(elsewhere.length).toBeGreaterThan(0);
  expect(elsewhere.map(({ headers }) => headers.get("Authorization")).filter(Boolean)).toEqual([]);
});

test("a request of somebody who was replaced meanwhile is not repeated as the other", async () => {
  const { server, browser, instance } = await attached();
  server.answerWith(PROFILE, async () => {
    await browser.tab().login({ username: "2", password: "right" });
    await settled();
    return tokenRefused("no");
  });
  await expect(instance.get("/api/user/profile/")).rejects.toMatchObject({ code: "session_switched" });
  expect(server.count(PROFILE)).toBe(1);
});
