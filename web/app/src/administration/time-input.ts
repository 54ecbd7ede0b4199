// An input of the type `datetime-local` has no zone; what is typed there is in that of the browser.

/** The time as the service takes it; empty for nothing, or for what is no time. */
export function timeOf(input: string): string {
  const time = new Date(input);
  return input === "" || Number.isNaN(time.getTime()) ? "" : time.toISOString().replace(".000Z", "Z");
}

/** What `timeOf` is of. */
export function localInputOf(iso: string | null): string {
  const time = new Date(iso ?? "");
  const local = new Date(time.getTime() - time.getTimezoneOffset() * 60_000);
  const isTyped = local.getUTCFullYear() >= 1 && local.getUTCFullYear() <= 9999; // others have no four digits
  return isTyped ? local.toISOString().slice(0, 16) : "";
}
