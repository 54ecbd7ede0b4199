import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Service } from "./service";

const RUN = `
import sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=10) as database:
    database.execute(sys.argv[2])
`;

/** Changes what is kept behind the service's back, for what would take long to happen. */
export async function change(service: Service, statement: string): Promise<void> {
  await promisify(execFile)("python3", ["-c", RUN, service.database, statement]);
}

/** The time that many units ago, as SQLite keeps times. */
export function agoInSql(duration: string): string {
  return `strftime('%Y-%m-%d %H:%M:%f000', 'now', '-${duration}')`;
}
