// What mailed links carry is taken out of the address before anything else happens, so that it stays neither in the
// history nor on the screen, and is known to this page alone until that is closed.

export interface MailedLink {
  uidb64: string;
  token: string;
}

export type LinkPage = "reset-password" | "verify-email" | "confirm-email" | "undo-email-change" | "undo-deletion";

const LINK = /^\/(reset-password|verify-email|confirm-email|undo-email-change|undo-deletion)\/([^/]+)\/([^/]+)\/?$/;

export function linkIn(pathname: string): ({ page: LinkPage } & MailedLink) | null {
  const [, page, uidb64, token] = LINK.exec(pathname) ?? [];
  return page && uidb64 && token ? { page: page as LinkPage, uidb64, token } : null;
}

let taken: ReturnType<typeof linkIn> = null;

/** To be called before the router reads the address. */
export function takeLinkFromAddress(): void {
  const found = linkIn(location.pathname);
  if (!found) return;
  taken = found;
  history.replaceState(null, "", `/${found.page}`);
}

/** What the mailed link to this page carried, if it was opened by one. */
export function mailedLink(page: LinkPage): MailedLink | null {
  return taken?.page === page ? { uidb64: taken.uidb64, token: taken.token } : null;
}
