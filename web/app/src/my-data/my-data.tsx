import { data } from "identity-client";
import { useState } from "react";
import { useAccount } from "../account-area";
import { WhoseField } from "../form/field";
import { Form, type Values } from "../form/form";
import { PasswordField } from "../form/password-field";
import { identity, logOut, patience } from "../identity";
import { useWords } from "../language";
import { ConfirmButton } from "../layout/confirm";
import { Notice, Page } from "../layout/page";

export function MyDataPage() {
  const { data: words } = useWords();
  return (
    <Page title={words.title}>
      <ExportCard />
      <DeletionCard />
    </Page>
  );
}

function ExportCard() {
  const { export: words } = useWords().data;
  const { profile } = useAccount();
  const [isDone, setDone] = useState(false);

  async function download() {
    setDone(false);
    const { data: file, response } = await identity.api.GET("/api/user/export/", { parseAs: "blob", signal: patience() });
    const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1];
    save(file as Blob, name ?? `identity-${profile.id}.json`);
    setDone(true);
  }

  return (
    <section className="card" aria-labelledby="export">
      <h2 id="export">{words.title}</h2>
      <p>{words.text}</p>
      <Form onSubmit={download} submit={words.submit} aside={isDone && <Notice kind="done">{words.done}</Notice>} />
    </section>
  );
}

function save(file: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // some browsers read it after the click
}

function DeletionCard() {
  const words = useWords();
  const { delete: say } = words.data;
  const { profile } = useAccount();

  async function deleteAccount(values: Values) {
    const { erased_after } = await data(
      identity.api.POST("/api/user/delete/", { body: { password: values["password"] ?? "" }, signal: patience() }),
    );
    void logOut({ to: "/account-closed", state: { erasedAfter: erased_after } });
  }

  return (
    <section className="card" aria-labelledby="deletion">
      <h2 id="deletion">{say.title}</h2>
      <p>{say.text}</p>
      <ConfirmButton
        label={say.submit}
        title={say.confirmTitle}
        text={say.confirmText(profile.username)}
        isDangerous
        onConfirm={deleteAccount}
        explain={(error) => {
          if (error.kind !== "error") return null;
          return error.message === "Incorrect password" ? { password: [words.email.wrong] } : say.lastSuperuser;
        }}
      >
        <WhoseField username={profile.username} />
        <PasswordField label={words.field.currentPassword} />
      </ConfirmButton>
    </section>
  );
}
