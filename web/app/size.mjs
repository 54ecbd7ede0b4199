// Prints how large the built scripts are, and fails when they are too large together.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT = 120 * 1000;
const folder = new URL("dist/assets/", import.meta.url);
const sizes = readdirSync(folder)
  .filter((name) => name.endsWith(".js"))
  .map((name) => ({ name, bytes: gzipSync(readFileSync(new URL(name, folder)), { level: 9 }).length }));
const total = sizes.reduce((sum, each) => sum + each.bytes, 0);

for (const { name, bytes } of [...sizes, { name: `all, of ${LIMIT} at most`, bytes: total }]) {
  console.log(`${String(bytes).padStart(7)} bytes gzipped  ${name}`);
}
if (sizes.length === 0 || total > LIMIT) {
  console.error("There is no build, or it is too large.");
  process.exit(1);
}
