import { useState } from "react";
import { useAccount } from "./account-area";
import { Field, UsernameField } from "./form/field";
import { Form, type Values } from "./form/form";
import { SelectField } from "./form/select-field";
import { identity, patience } from "./identity";
import { NAMES, useWords } from "./language";
import { Notice, Page } from "./layout/page";

const ZONES = Intl.supportedValuesOf("timeZone");
const ZONE_HERE = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function ProfilePage() {
  const { profile: words, field } = useWords();
  const { profile, reload } = useAccount();
  const [isDone, setDone] = useState(false);

  async function submit(values: Values) {
    setDone(false);
    const { username = "", display_name = "", locale = "", time_zone = "" } = values;
    const body = { username, display_name, locale, time_zone };
    await identity.api.PATCH("/api/user/profile/", { body, signal: patience() });
    setDone(true);
    reload();
  }

  return (
    <Page title={words.title} intro={words.text}>
      <section className="card">
        <Form onSubmit={submit} submit={words.submit} aside={isDone && <Notice kind="done">{words.done}</Notice>}>
          <UsernameField label={field.username} hint={field.usernameHint} defaultValue={profile.username} />
          <Field
            name="display_name"
            label={field.displayName}
            hint={words.displayNameHint}
            autoComplete="name"
            required={false}
            defaultValue={profile.display_name}
          />
          <SelectField
            name="locale"
            label={field.locale}
            defaultValue={profile.locale}
            options={localesWith(profile.locale, words.automatic)}
          />
          <Field
            name="time_zone"
            label={field.timeZone}
            hint={words.timeZoneHint(ZONE_HERE)}
            list="time-zones"
            autoComplete="off"
            spellCheck={false}
            required={false}
            defaultValue={profile.time_zone}
          />
          <datalist id="time-zones">
            {ZONES.map((zone) => (
              <option key={zone} value={zone} />
            ))}
          </datalist>
        </Form>
      </section>
    </Page>
  );
}

/** The languages of this app, and the account's own, which may be another one. */
function localesWith(own: string, automatic: string): [string, string][] {
  const offered = Object.entries(NAMES);
  const isOffered = own === "" || Object.hasOwn(NAMES, own);
  return [["", automatic], ...offered, ...(isOffered ? [] : [[own, own] as [string, string]])];
}
