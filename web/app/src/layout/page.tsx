import { useEffect, useRef, type ReactNode } from "react";
import { useLanguage } from "../language";

let isFirstPage = true;

/** What a screen reader is to read next, when what had the focus has gone. */
export function focusHeading(): void {
  document.querySelector("h1")?.focus();
}

/** A page, or a state of one that has a title of its own: its heading gets the focus, but for that of the first. */
export function Page({ title, intro, children }: { title: string; intro?: ReactNode; children?: ReactNode }) {
  const { words, language } = useLanguage();
  const shownIn = useRef("");
  useEffect(() => {
    document.title = words.title(title);
    const isTranslation = shownIn.current !== "" && shownIn.current !== language;
    shownIn.current = language;
    if (!isFirstPage && !isTranslation) focusHeading();
    isFirstPage = false;
  }, [title, language, words]);
  return (
    <>
      <h1 tabIndex={-1}>{title}</h1>
      {intro && <p className="intro">{intro}</p>}
      {children}
    </>
  );
}

/** The only thing on its page: a form, or what came of it. */
export function CardPage({ footer, ...page }: Parameters<typeof Page>[0] & { footer?: ReactNode }) {
  return (
    <div className="narrow">
      <section className="card">
        <Page {...page} />
      </section>
      {footer && <div className="card-footer">{footer}</div>}
    </div>
  );
}

export function Notice({ kind, children }: { kind: "done" | "wrong" | "info"; children: ReactNode }) {
  return (
    <div role={kind === "wrong" ? "alert" : "status"} className={`notice notice-${kind}`}>
      {children}
    </div>
  );
}
