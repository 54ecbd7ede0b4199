/** Against the service itself: IDENTITY_BIN, or `identity` in the PATH. Skipped where there is none, but not in CI. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createIdentity, data, IdentityError } from "../src";
import { MemoryStore } from "./service";

const PROGRAM = process.env["IDENTITY_BIN"] ?? "identity";
const ORIGIN = "http://localhost:3000";
const john = { username: "john_doe", email: "john@example.com", password: "yourpassword123" };

const isMissing = spawnSync(PROGRAM, ["--version"]).error !== undefined && !process.env["CI"];

describe.skipIf(isMissing).each(["body", "cookie"] as const)("in %s mode", (mode) => {
  let service: ChildProcess;
  let folder: string;
  let baseUrl: string;
  const sent: string[] = [];
  let cookie = "";

  /** As a browser does it: keeps the cookie, and says whose page it is. */
  const browserFetch: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    sent.push(`${request.method} ${new URL(request.url).pathname}`);
    request.headers.set("Origin", ORIGIN);
    if (cookie) request.headers.set("Cookie", cookie);
    const response = await fetch(request);
    for (const each of response.headers.getSetCookie()) {
      cookie = /max-age=0/i.test(each) ? "" : (each.split(";")[0] ?? "");
    }
    return response;
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "identity-client-"));
    const others = Object.entries(process.env).filter(([name]) => !name.startsWith("IDENTITY_"));
    const settings = {
      IDENTITY_PORT: "0",
      IDENTITY_DATABASE_URL: "memory:",
      IDENTITY_MAIL_URL: "memory:",
      IDENTITY_LOG_FORMAT: "text",
      ...(mode === "cookie" && { IDENTITY_REFRESH_COOKIE: "true", IDENTITY_REFRESH_COOKIE_INSECURE: "true" }),
    };
    service = spawn(PROGRAM, ["serve"], {
      cwd: folder,
      env: { ...Object.fromEntries(others), ...settings },
      stdio: ["ignore", "ignore", "pipe"],
    });
    baseUrl = await new Promise((resolve, reject) => {
      let log = "";
      service.once("error", reject);
      service.once("exit", () => reject(new Error(log)));
      service.stderr!.on("data", (chunk) => {
        log += chunk;
        const address = /running on (http:\S+)/.exec(log)?.[1];
        if (address) resolve(address);
      });
    });
  }, 30_000);

  afterAll(async () => {
    if (service.exitCode === null && service.kill()) await new Promise((resolve) => service.once("exit", resolve));
    rmSync(folder, { recursive: true });
  });

  test("somebody registers, logs in, is refreshed, reloads and logs out", async () => {
    const storage = new MemoryStore();
    let ahead = 0;
    const options = { baseUrl, storage, fetch: browserFetch, now: () => Date.now() + ahead };
    const tab = createIdentity(options);
    const refusal = tab.api.POST("/api/auth/register/", { body: { ...john, email: "nonsense" } });
    const fields = { email: ["Enter a valid email address."] };
    await expect(refusal).rejects.toMatchObject({ kind: "fields", status: 400, fields });
    await tab.api.POST("/api/auth/register/", { body: john });

    const wrong = tab.login({ ...john, password: "wrong" });
    await expect(wrong).rejects.toMatchObject({
      kind: "detail",
      status: 401,
      message: "No active account found with the given credentials",
    });
    await tab.login(john);
    expect(storage.token === null).toBe(mode === "cookie");
    const profile = await data(tab.api.GET("/api/user/profile/"));
    expect(profile).toMatchObject({ username: "john_doe", email: "john@example.com" });
    expect(tab.session).toEqual({ status: "authenticated", user: String(profile.id) });

    ahead = 3_600_000;
    sent.length = 0;
    await Promise.all(Array.from({ length: 20 }, () => tab.api.GET("/api/user/profile/")));
    expect(sent.filter((each) => each.includes("refresh"))).toHaveLength(1);
    expect(sent).toHaveLength(21);

    const reloaded = createIdentity(options);
    expect(await reloaded.restore()).toEqual(tab.session);
    const sessions = await data(reloaded.api.GET("/api/user/sessions/"));
    expect(sessions).toHaveLength(1);

    const change = { old_password: "wrong", new_password: "yournewpassword123" };
    const notChanged = tab.api.POST("/api/user/change-password/", { body: change });
    await expect(notChanged).rejects.toMatchObject({ kind: "error", status: 400, message: "Incorrect old password" });

    const token = await reloaded.token();
    await reloaded.logout();
    const headers = { Authorization: `Bearer ${token}` };
    expect((await fetch(`${baseUrl}/api/user/profile/`, { headers })).status).toBe(401);
    expect((await createIdentity(options).restore()).status).toBe("anonymous");
    expect([storage.token, cookie]).toEqual([null, ""]);
    const error = await reloaded.api.GET("/api/user/profile/").catch((error: unknown) => error);
    expect(error).toBeInstanceOf(IdentityError);
    expect(error).toMatchObject({ requestId: expect.stringMatching(/^[0-9a-f]{16}$/) });
  }, 30_000);

  test("a session that was ended elsewhere ends here", async () => {
    const storage = new MemoryStore();
    const tab = createIdentity({ baseUrl, storage, fetch: browserFetch });
    await tab.login(john);
    await tab.api.POST("/api/auth/logout-all/");
    await expect(tab.api.GET("/api/user/profile/")).rejects.toMatchObject({ status: 401, code: "token_not_valid" });
    expect([tab.session.status, storage.token]).toEqual(["anonymous", null]);
  });
});
