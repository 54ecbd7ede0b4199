// Held against the OpenAPI document by a test.

/** Whether nobody asks whose request it is. */
export function isPublic(path: string): boolean {
  return /^\/(api\/(auth\/(?!logout-all\b)|schema\b)|health\/|\.well-known\/)/.test(path);
}

/** Whether it brings or sets the refresh cookie where the service has one. */
export function takesCookie(path: string): boolean {
  return /^\/api\/auth\/(login|login-code\/confirm|token\/(refresh|blacklist)|logout)\/?$/.test(path);
}
