import { createIdentity, type components, type Session } from "identity-client";
import { useCallback, useEffect, useState, useSyncExternalStore } from "react";

type Schemas = components["schemas"];
export type Profile = Schemas["ProfileAnswer"];
export type OwnSession = Schemas["OwnSession"];
export type Account = Schemas["Account"];
export type AccountDetails = Schemas["AccountDetails"];
export type AuditedEvent = Schemas["AuditedEvent"];
export type QueuedLetter = Schemas["QueuedLetter"];

export const identity = createIdentity();

interface Departure {
  to: string;
  state?: unknown;
}

let departure: Departure | null = null;

/** Ends the session because its owner wants so: nobody is asked to log in again to go on. */
export function logOut(next: Departure = { to: "/login" }): Promise<void> {
  departure = next;
  return identity.logout();
}

/** Where `logOut` leads to, if that was what ended the session. */
export function departureFromHere(): Departure | null {
  return departure;
}

/** Who comes back later is asked to log in as anybody is. */
export function forgetDeparture(): void {
  departure = null;
}

identity.subscribe(() => {
  if (identity.session.status === "authenticated") departure = null;
});

export function useSession(): Session {
  return useSyncExternalStore(identity.subscribe, () => identity.session);
}

/** Finds out whether there is a session from before; `failure` is why nobody can tell. */
export function useRestoredSession(): { session: Session; failure: unknown; retry(): void } {
  const session = useSession();
  const [failure, setFailure] = useState<unknown>(null);
  const restore = useCallback(() => {
    setFailure(null);
    identity.restore().catch(setFailure);
  }, []);
  useEffect(restore, [restore]);
  return { session, failure, retry: restore };
}

const PATIENCE = 30_000; // milliseconds; the service has given a request up long before

/** Gives up waiting for what cannot be ended. */
export function withinPatience<T>(work: Promise<T>): Promise<T> {
  const timeout = AbortSignal.timeout(PATIENCE);
  const givenUp = new Promise<never>((_, reject) => {
    timeout.addEventListener("abort", () => reject(timeout.reason), { once: true });
  });
  return Promise.race([work, givenUp]);
}

/** Ends a request that nobody answers. */
export function patience(signal?: AbortSignal): AbortSignal {
  const timeout = AbortSignal.timeout(PATIENCE);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}
