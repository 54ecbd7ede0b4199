import { data } from "identity-client";
import { createContext, useContext, useEffect, useRef, useState } from "react";
import { Link, Navigate, NavLink, Outlet, useLocation } from "react-router";
import { identity, departureFromHere, forgetDeparture, useRestoredSession, type Profile } from "./identity";
import { useWords } from "./language";
import { Failure, Loading, useLoaded, Waiting } from "./layout/loading";
import { CardPage, focusHeading } from "./layout/page";
import { LoginForm } from "./login";
import { TimeZoneContext } from "./times";

interface Owned {
  profile: Profile;
  /** After something was changed in it. */
  reload(): void;
}

const OwnedContext = createContext<Owned | null>(null);

/** Whose pages these are. Only within the account's area. */
export function useAccount(): Owned {
  const owned = useContext(OwnedContext);
  if (!owned) throw new Error("This is not in the account's area.");
  return owned;
}

/** The pages that need a login. When the session ends under one of them, what was typed there is kept for whoever
 * logs in as the same again. */
export function AccountArea() {
  const { session, failure, retry } = useRestoredSession();
  const location = useLocation();
  const [shown, setShown] = useState<string | null>(() => {
    forgetDeparture();
    return null;
  });
  if (session.user && session.user !== shown) setShown(session.user);

  if (session.status === "unknown") {
    return failure ? (
      <div className="narrow">
        <Failure error={failure} retry={retry} />
      </div>
    ) : (
      <Waiting />
    );
  }
  const isOver = session.status === "anonymous";
  const departure = departureFromHere();
  if (isOver && departure) return <Navigate {...departure} replace />;
  if (isOver && shown === null) {
    return <Navigate to="/login" state={{ from: location.pathname + location.search }} replace />;
  }
  return (
    <>
      {isOver && <SessionOver />}
      <div hidden={isOver} className="area" key={shown}>
        <OwnPages user={shown ?? ""} />
      </div>
    </>
  );
}

function SessionOver() {
  const { login } = useWords();
  const [titleBefore] = useState(document.title);
  useEffect(() => {
    return () => {
      document.title = titleBefore;
      focusHeading();
    };
  }, [titleBefore]);
  return (
    <CardPage
      title={login.sessionOver.title}
      intro={login.sessionOver.text}
      footer={<Link to="/login">{login.another}</Link>}
    >
      <LoginForm />
    </CardPage>
  );
}

function OwnPages({ user }: { user: string }) {
  const loaded = useLoaded(`profile of ${user}`, (signal) => data(identity.api.GET("/api/user/profile/", { signal })), {
    keeps: true,
  });
  // When only loading it again fails, the page under it goes on: it may just be telling what has been done.
  return (
    <Loading of={loaded.data ? { ...loaded, error: undefined } : loaded}>
      {(profile) => (
        <OwnedContext value={{ profile, reload: loaded.reload }}>
          <TimeZoneContext value={profile.time_zone}>
            <div className="with-menu">
              <Menu isSuperuser={profile.is_superuser} />
              <div className="content">
                <Outlet />
              </div>
            </div>
          </TimeZoneContext>
        </OwnedContext>
      )}
    </Loading>
  );
}

function Menu({ isSuperuser }: { isSuperuser: boolean }) {
  const { nav: names, menu } = useWords();
  const { pathname } = useLocation();
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    // Where there is no room for all of it, the menu shows where one is.
    nav.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [pathname]);
  const pages = [
    ["/", names.overview],
    ["/profile", names.profile],
    ["/password", names.password],
    ["/email", names.email],
    ["/sessions", names.sessions],
    ["/data", names.data],
    ...(isSuperuser ? [["/admin", names.administration] as const] : []),
  ] as const;
  return (
    <nav ref={nav} className="menu" aria-label={menu}>
      {pages.map(([path, name]) => (
        <NavLink key={path} to={path} end={path === "/"}>
          {name}
        </NavLink>
      ))}
    </nav>
  );
}
