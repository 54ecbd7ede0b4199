import { Link } from "react-router";
import { identity, patience } from "../identity";
import { useWords } from "../language";
import { LinkActionPage } from "../mailed-link";

export function UndoEmailChangePage() {
  const { emailUndo: words } = useWords();
  return (
    <LinkActionPage
      page="undo-email-change"
      title={words.title}
      text={words.text}
      submit={words.submit}
      act={(link) => identity.api.POST("/api/auth/undo-email-change/", { body: link, signal: patience() })}
      done={{
        title: words.done.title,
        text: words.done.text,
        next: (
          <Link to="/forgot-password" className="button">
            {words.done.reset}
          </Link>
        ),
      }}
      expired={{ text: words.expired }}
    />
  );
}
