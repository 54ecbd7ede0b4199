export { IdentityError, type Kind } from "./errors";
export { createIdentity, type Identity, type Options } from "./identity";
export type { components, paths } from "./schema";
export type { Mode, Session, Tokens } from "./session";
export type { TokenStore } from "./tokens";

/** The body of an answer: `await data(identity.api.GET("/api/user/profile/"))`. */
export async function data<T>(answer: Promise<{ data?: T }>): Promise<T> {
  return (await answer).data as T; // a refusal was thrown
}
