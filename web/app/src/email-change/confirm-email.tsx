import { Link } from "react-router";
import { identity, patience } from "../identity";
import { useWords } from "../language";
import { LinkActionPage } from "../mailed-link";

export function ConfirmEmailPage() {
  const { emailConfirmation: words } = useWords();
  return (
    <LinkActionPage
      page="confirm-email"
      title={words.title}
      text={words.text}
      submit={words.submit}
      act={(link) => identity.api.POST("/api/auth/confirm-email-change/", { body: link, signal: patience() })}
      done={words.done}
      expired={{
        text: words.expired,
        next: (
          <Link to="/email" className="button">
            {words.again}
          </Link>
        ),
      }}
    />
  );
}
