import { Link } from "react-router";
import { identity, patience } from "../identity";
import { useWords } from "../language";
import { LinkActionPage } from "../mailed-link";

export function UndoDeletionPage() {
  const { deletionUndo: words } = useWords();
  return (
    <LinkActionPage
      page="undo-deletion"
      title={words.title}
      text={words.text}
      submit={words.submit}
      act={(link) => identity.api.POST("/api/auth/undo-deletion/", { body: link, signal: patience() })}
      done={{
        title: words.done.title,
        text: words.done.text,
        next: (
          <Link to="/login" className="button">
            {words.done.logIn}
          </Link>
        ),
      }}
      expired={{ text: words.expired }}
    />
  );
}
