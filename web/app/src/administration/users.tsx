import { data } from "identity-client";
import { useEffect, useId, useState } from "react";
import { Link, useSearchParams } from "react-router";
import { identity, type Account } from "../identity";
import { useWords } from "../language";
import { useLoaded } from "../layout/loading";
import { Page } from "../layout/page";
import { useTimes } from "../times";
import { AccountState } from "./account-state";
import { Admitted } from "./admitted";
import { useAdministrationWords } from "./language";
import { Pages } from "./pages";
import { Table, type Column } from "./table";

const IN_A_PAGE = 25;
const TYPING_PAUSE = 300; // milliseconds

export function UsersPage() {
  const words = useAdministrationWords();
  const [parameters] = useSearchParams();
  const search = parameters.get("search") ?? "";
  const after = parameters.get("after") ?? "";
  const loaded = useLoaded(
    `users ${search} ${after}`,
    (signal) =>
      data(identity.api.GET("/api/admin/users/", { params: { query: { search, after, limit: IN_A_PAGE } }, signal })),
    { keeps: true },
  );
  return (
    <Page title={words.users.title}>
      <Search />
      <Admitted of={loaded}>
        {({ users, next }) => (
          <>
            {users.length > 0 ? (
              <Accounts accounts={users} />
            ) : (
              <p role="status">{next === null ? words.nothing : words.moreMayCome}</p>
            )}
            <Pages cursor="after" next={next} />
          </>
        )}
      </Admitted>
    </Page>
  );
}

function Search() {
  const { users } = useAdministrationWords();
  const id = useId();
  const [parameters, setParameters] = useSearchParams();
  const searched = parameters.get("search") ?? "";
  const [typed, setTyped] = useState(searched);
  useEffect(() => setTyped(searched), [searched]); // by the browser's way back
  useEffect(() => {
    if (typed.trim() === searched) return;
    const { pathname } = location;
    const search = () => {
      if (location.pathname !== pathname) return; // on the way to another page, which is not there yet
      setParameters(typed.trim() ? { search: typed.trim() } : {}, { replace: true });
    };
    const pausing = setTimeout(search, TYPING_PAUSE);
    return () => clearTimeout(pausing);
  }, [typed]);
  return (
    <div role="search" className="field">
      <label htmlFor={id}>{users.search}</label>
      <div className="input">
        <input
          id={id}
          type="search"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
        />
      </div>
    </div>
  );
}

function Accounts({ accounts }: { accounts: Account[] }) {
  const words = useAdministrationWords();
  const { never } = useWords();
  const { date, time } = useTimes();
  const columns: Column<Account>[] = [
    { title: words.users.username, cell: (each) => <Link to={`/admin/users/${each.id}`}>{each.username}</Link> },
    { title: words.users.email, cell: (each) => each.email },
    { title: words.users.state, cell: (each) => <AccountState account={each} /> },
    { title: words.users.joined, isShort: true, cell: (each) => date(each.date_joined) },
    { title: words.users.lastLogin, isShort: true, cell: (each) => (each.last_login_at ? time(each.last_login_at) : never) },
  ];
  return <Table caption={words.users.title} columns={columns} rows={accounts} keyOf={(each) => each.id} />;
}
