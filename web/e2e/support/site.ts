import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const TYPES: Record<string, string> = { html: "text/html", js: "text/javascript", css: "text/css" };

/** A web site on an origin of its own, `http://localhost:PORT`: paths and what is there. */
export async function openSite(files: Record<string, string | Buffer>): Promise<{ origin: string; close(): void }> {
  const server = createServer((request, response) => {
    const file = files[new URL(request.url ?? "/", "http://site").pathname];
    const type = TYPES[request.url?.split("?")[0]?.split(".").at(-1) ?? ""] ?? "text/html";
    response.writeHead(file === undefined ? 404 : 200, { "Content-Type": `${type}; charset=utf-8` }).end(file ?? "");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { origin: `http://localhost:${port}`, close: () => void server.close() };
}
