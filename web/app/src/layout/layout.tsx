import type { MouseEvent } from "react";
import { Link, Outlet, useLocation } from "react-router";
import { logOut, useSession } from "../identity";
import { NAMES, useLanguage, type Language } from "../language";
import { ErrorBoundary } from "./error-boundary";
import { OfflineBanner } from "./offline";

export function Layout() {
  const { words } = useLanguage();
  const { pathname } = useLocation();
  return (
    <>
      <a className="skip" href="#content" onClick={skipToContent}>
        {words.skip}
      </a>
      <OfflineBanner />
      <header className="header">
        <div className="header-inner">
          <Link to="/" className="brand">
            <img src="/favicon.svg" alt="" width="28" height="28" />
            {words.service}
          </Link>
          <LanguageChoice />
          <SessionLink />
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        <ErrorBoundary page={pathname}>
          <Outlet />
        </ErrorBoundary>
      </main>
    </>
  );
}

/** Without another place in the history, which would forget where a login leads back to. */
function skipToContent(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

function LanguageChoice() {
  const { words, language, choose } = useLanguage();
  return (
    <div className="languages" role="group" aria-label={words.language}>
      {(Object.entries(NAMES) as [Language, string][]).map(([each, name]) => (
        <button key={each} type="button" lang={each} aria-pressed={each === language} onClick={() => choose(each)}>
          <span className="wide">{name}</span>
          <abbr className="slim" title={name}>{each.toUpperCase()}</abbr>
        </button>
      ))}
    </div>
  );
}

function SessionLink() {
  const { words } = useLanguage();
  const { status } = useSession();
  if (status === "unknown") return null;
  return status === "authenticated" ? (
    <button type="button" className="button button-quiet button-small" onClick={() => void logOut()}>
      {words.nav.logOut}
    </button>
  ) : (
    <Link to="/login" className="button button-quiet button-small">
      {words.nav.logIn}
    </Link>
  );
}
