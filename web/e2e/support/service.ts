import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const PROGRAM = process.env["IDENTITY_BIN"] ?? "identity";

export interface Account {
  username: string;
  email: string;
  password: string;
}

/** `identity serve`, with the app, on a database of its own. */
export class Service {
  private process: ChildProcess | null = null;
  private readonly folder = mkdtempSync(join(tmpdir(), "identity-e2e-"));
  private readonly variables: NodeJS.ProcessEnv;

  private constructor(
    readonly url: string,
    settings: Record<string, string>,
  ) {
    const others = Object.entries(process.env).filter(([name]) => !name.startsWith("IDENTITY_"));
    this.variables = {
      ...Object.fromEntries(others),
      IDENTITY_PORT: new URL(url).port,
      IDENTITY_PUBLIC_URL: url, // mailed links lead here
      IDENTITY_APP_DIR: "bundled",
      IDENTITY_DATABASE_URL: `sqlite:///${this.database}`,
      IDENTITY_LOG_FORMAT: "text",
      IDENTITY_SHUTDOWN_DELAY: "0s",
      // All people of a test are behind one address.
      IDENTITY_ADDRESS_REQUESTS: "1000",
      IDENTITY_ADDRESS_FAILURES: "1000",
      ...settings,
    };
  }

  /** On a port that is kept over restarts. */
  static async start(settings: Record<string, string>): Promise<Service> {
    const service = new Service(`http://127.0.0.1:${await freePort()}`, settings);
    await service.start();
    return service;
  }

  get database(): string {
    return join(this.folder, "identity.db");
  }

  async start(): Promise<void> {
    const started = spawn(PROGRAM, ["serve"], {
      cwd: this.folder,
      env: this.variables,
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.process = started;
    await new Promise<void>((resolve, reject) => {
      let log = "";
      started.once("error", reject);
      started.once("exit", () => reject(new Error(log)));
      started.stderr.setEncoding("utf8").on("data", (chunk: string) => {
        log += chunk;
        if (/running on http/.test(log)) resolve();
      });
    });
  }

  /** As a power cut does it. */
  async kill(): Promise<void> {
    const ended = this.process;
    this.process = null;
    if (!ended || ended.exitCode !== null) return;
    ended.kill("SIGKILL");
    await once(ended, "exit");
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Runs a command of the service. */
  async command(...words: string[]): Promise<string> {
    return (await promisify(execFile)(PROGRAM, words, { cwd: this.folder, env: this.variables })).stdout;
  }

  async post(path: string, body: object, access = ""): Promise<Record<string, unknown>> {
    const response = await fetch(this.url + path, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Origin: this.url,
        ...(access && { Authorization: `Bearer ${access}` }),
      },
      body: JSON.stringify(body),
    });
    const answer = (await response.json()) as Record<string, unknown>;
    if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }

  async register(username: string): Promise<Account> {
    const account = accountOf(username);
    await this.post("/api/auth/register/", account);
    return account;
  }

  async registerSuperuser(username: string): Promise<Account> {
    const account = await this.register(username);
    await this.command("users", "promote", username);
    return account;
  }

  async logIn({ username, password }: Account): Promise<string> {
    return String((await this.post("/api/auth/login/", { username, password }))["access"]);
  }
}

export function accountOf(username: string): Account {
  return { username, email: `${username}@example.com`, password: "a quiet harbour at dawn" };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
