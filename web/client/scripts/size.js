// How much the client weighs in an app: bundled with openapi-fetch, minified, gzipped; axios is not in it.
import { gzipSync } from "node:zlib";
import { build } from "vite";

const MOST = 6 * 1024;

const { output } = await build({
  root: new URL("..", import.meta.url).pathname,
  configFile: false,
  logLevel: "warn",
  build: {
    write: false,
    target: "es2022",
    modulePreload: false,
    // Not `build.lib`, which leaves white space in.
    rolldownOptions: { input: ["src/index.ts", "src/axios.ts"], preserveEntrySignatures: "strict" },
  },
});
const bytes = gzipSync(output.map((chunk) => chunk.code).join("\n"), { level: 9 }).length;
console.log(`identity-client: ${bytes} of ${MOST} bytes`);
if (process.argv.includes("--show")) console.log(output.map((chunk) => chunk.code).join("\n"));
if (bytes > MOST) process.exit(1);
