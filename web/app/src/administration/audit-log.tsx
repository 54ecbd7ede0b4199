import { data } from "identity-client";
import { useSearchParams } from "react-router";
import { Field } from "../form/field";
import { Form, type Values } from "../form/form";
import { SelectField } from "../form/select-field";
import { identity } from "../identity";
import { useLoaded } from "../layout/loading";
import { Page } from "../layout/page";
import { Admitted } from "./admitted";
import { Events } from "./events";
import { useAdministrationWords } from "./language";
import { Pages } from "./pages";
import { localInputOf, timeOf } from "./time-input";

const IN_A_PAGE = 50;

export function AuditLogPage() {
  const words = useAdministrationWords();
  const [parameters] = useSearchParams();
  const given = (name: string) => parameters.get(name) || undefined;
  const number = (name: string) => (given(name) === undefined ? undefined : (given(name) as unknown as number));
  const query = {
    user: number("user"),
    kind: given("kind"),
    since: given("since"),
    until: given("until"),
    before: number("before"),
    limit: IN_A_PAGE,
  };
  const present = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
  const loaded = useLoaded(
    `audit ${parameters}`,
    (signal) => data(identity.api.GET("/api/admin/audit/", { params: { query: present }, signal })),
    { keeps: true },
  );
  return (
    <Page title={words.audit.title}>
      <Filter key={parameters.toString()} />
      <Admitted of={loaded}>
        {({ events, next }) => (
          <>
            {events.length > 0 ? (
              <Events events={events} caption={words.audit.title} />
            ) : (
              <p role="status">{words.nothing}</p>
            )}
            <Pages cursor="before" next={next} />
          </>
        )}
      </Admitted>
    </Page>
  );
}

function Filter() {
  const { audit: words, events } = useAdministrationWords();
  const [parameters, setParameters] = useSearchParams();
  const kinds = Object.entries(events).sort(([, one], [, other]) => one.localeCompare(other));

  async function filter(values: Values) {
    const times = { since: timeOf(values["since"] ?? ""), until: timeOf(values["until"] ?? "") };
    const wanted = { user: values["user"] ?? "", kind: values["kind"] ?? "", ...times };
    setParameters(Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== "")));
  }

  return (
    <details className="card filter" open={[...parameters.keys()].some((name) => name !== "before")}>
      <summary>{words.filter}</summary>
      <Form
        onSubmit={filter}
        submit={words.filter}
        aside={
          <button type="button" className="button button-quiet" onClick={() => setParameters({})}>
            {words.clear}
          </button>
        }
      >
        <div className="columns">
          <Field
            name="user"
            label={words.user}
            inputMode="numeric"
            pattern="[0-9]*"
            autoComplete="off"
            required={false}
            defaultValue={parameters.get("user") ?? ""}
          />
          <SelectField
            name="kind"
            label={words.kind}
            defaultValue={parameters.get("kind") ?? ""}
            options={[["", words.anyKind], ...kinds]}
          />
          <Field
            name="since"
            label={words.since}
            hint={words.zone}
            type="datetime-local"
            required={false}
            defaultValue={localInputOf(parameters.get("since"))}
          />
          <Field
            name="until"
            label={words.until}
            hint={words.zone}
            type="datetime-local"
            required={false}
            defaultValue={localInputOf(parameters.get("until"))}
          />
        </div>
      </Form>
    </details>
  );
}
