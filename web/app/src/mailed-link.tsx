import { useState, type ReactNode } from "react";
import { Link } from "react-router";
import { Form } from "./form/form";
import { useWords } from "./language";
import { CardPage } from "./layout/page";
import { mailedLink, type LinkPage, type MailedLink } from "./links";
import { isRefusal } from "./refusal";

interface LinkActionPageProps {
  page: LinkPage;
  title: string;
  text: string;
  submit: string;
  act(link: MailedLink): Promise<unknown>;
  done: { title: string; text: string; next?: ReactNode };
  expired: { text: string; next?: ReactNode };
  /** Instead of asking to open the link again. */
  withoutLink?: ReactNode;
}

/** The page behind a mailed link: it does nothing before a button is pressed. */
export function LinkActionPage({ page, title, text, submit, act, done, expired, withoutLink }: LinkActionPageProps) {
  const words = useWords();
  const [link] = useState(() => mailedLink(page));
  const [state, setState] = useState<"asking" | "done" | "expired">("asking");

  if (!link) return withoutLink ?? <LinkGonePage />;
  if (state === "done") {
    return (
      <CardPage title={done.title} intro={done.text}>
        {done.next ?? <HomeLink />}
      </CardPage>
    );
  }
  if (state === "expired") {
    return (
      <CardPage title={words.link.expired.title} intro={expired.text}>
        {expired.next ?? <HomeLink />}
      </CardPage>
    );
  }
  return (
    <CardPage title={title} intro={text} footer={words.link.press}>
      <Form
        submit={submit}
        onSubmit={async () => {
          try {
            await act(link);
          } catch (error) {
            if (!isBadLink(error)) throw error;
            return setState("expired");
          }
          setState("done");
        }}
      />
    </CardPage>
  );
}

/** Used up, over, or never one of ours: the service does not tell which. */
export function isBadLink(error: unknown): boolean {
  return isRefusal(error, 400);
}

export function LinkGonePage() {
  const { link } = useWords();
  return (
    <CardPage title={link.gone.title} intro={link.gone.text}>
      <HomeLink />
    </CardPage>
  );
}

function HomeLink() {
  const { link } = useWords();
  return (
    <Link to="/" className="button">
      {link.home}
    </Link>
  );
}
