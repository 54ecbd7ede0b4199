// Whose password a reset sets is not in the link. The address that a link was asked for in this browser is kept for a
// while, so that a password manager files the new password under it.

const KEPT = "identity.reset-asked";
const WHILE = 3600_000; // milliseconds

export function keepAskedAddress(email: string): void {
  try {
    localStorage.setItem(KEPT, JSON.stringify({ email, at: Date.now() }));
  } catch {
    // Then the password manager asks for the name.
  }
}

export function askedAddress(): string {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEPT) ?? "null");
    if (kept !== null && typeof kept === "object" && "email" in kept && "at" in kept) {
      const { email, at } = kept;
      if (typeof email === "string" && typeof at === "number" && Date.now() - at < WHILE) return email;
    }
    forgetAskedAddress();
  } catch {
    // As if there were none.
  }
  return "";
}

export function forgetAskedAddress(): void {
  try {
    localStorage.removeItem(KEPT);
  } catch {
    // It could not be kept either.
  }
}
