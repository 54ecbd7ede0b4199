// A hint while typing, no verdict: that is the service's, which knows the passwords that everybody uses.

const SHORTEST = 8;
/** A name of one or two letters is part of most good passwords by chance. */
const SHORTEST_TELLING_NAME = 3;

export type Reason = "tooShort" | "digits" | "similar" | "repeated" | "weak" | "fair" | "strong";

export interface Strength {
  level: 1 | 2 | 3;
  reason: Reason;
  /** Characters that it is too short by. */
  missing: number;
}

/** `null` for nothing typed. `about`: names that the password should not be like. */
export function strengthOf(password: string, about: readonly string[] = []): Strength | null {
  if (password === "") return null;
  const characters = [...password];
  const missing = Math.max(0, SHORTEST - characters.length);
  const weak = (reason: Reason): Strength => ({ level: 1, reason, missing });
  if (missing > 0) return weak("tooShort");
  if (/^\p{Nd}+$/u.test(password)) return weak("digits");
  if (about.flatMap(partsOf).some((name) => isSimilar(password, name))) return weak("similar");
  const telling = tellingLength(characters);
  if (telling < characters.length / 2) return weak("repeated");
  if (telling >= 16 || (telling >= 12 && kindsOf(password) >= 3)) return { level: 3, reason: "strong", missing };
  if (telling >= 11 || (telling >= 9 && kindsOf(password) >= 3)) return { level: 2, reason: "fair", missing };
  return weak("weak");
}

function partsOf(name: string): string[] {
  return [name, name.split("@")[0] ?? ""];
}

function isSimilar(password: string, name: string): boolean {
  const [one, other] = [password, name].map((each) => each.normalize("NFKC").toLowerCase()) as [string, string];
  if (other.length < SHORTEST_TELLING_NAME) return false;
  return one.includes(other) || other.includes(one);
}

/** How many characters are not just the one before, or its neighbour as in abc and 321. */
function tellingLength(characters: string[]): number {
  const codes = characters.map((each) => each.codePointAt(0)!);
  const followsOn = (index: number) => index > 0 && Math.abs(codes[index]! - codes[index - 1]!) <= 1;
  const telling = codes.filter((_, index) => !followsOn(index)).length;
  return Math.min(telling, new Set(characters).size * 2);
}

function kindsOf(password: string): number {
  return [/\p{Ll}/u, /\p{Lu}/u, /\p{Nd}/u, /[^\p{L}\p{Nd}]/u].filter((kind) => kind.test(password)).length;
}
