const PATIENCE = 10_000; // milliseconds

/** The first answer of `look` that is something. */
export async function until<T>(what: string, look: () => T | null | undefined | false | Promise<T | null | false>): Promise<T> {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`There was never ${what}.`);
}
