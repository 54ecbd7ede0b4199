import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { de } from "./de";
import { en, type Words } from "./en";

export type { Words };
export type Language = "en" | "de";

const DICTIONARIES: Record<Language, Words> = { en, de };
export const NAMES: Record<Language, string> = { en: "English", de: "Deutsch" };
const KEPT = "identity.language";

/** The first of the wished-for languages that there is, English where there is none. */
export function firstSpoken(wishes: readonly (string | null)[]): Language {
  const tags = wishes.map((wish) => wish?.toLowerCase().split("-")[0] ?? "");
  return tags.find((tag): tag is Language => Object.hasOwn(NAMES, tag)) ?? "en";
}

/** `language` with the region that is wished for, if any. Some browsers name what is no tag, such as `en-US@posix`. */
export function regional(language: Language, wishes: readonly string[]): string {
  const isOfThis = (tag: string) => tag.includes("-") && tag.toLowerCase().split("-")[0] === language;
  return wishes.find((tag) => isOfThis(tag) && isKnownToIntl(tag)) ?? language;
}

function isKnownToIntl(tag: string): boolean {
  try {
    return Intl.DateTimeFormat.supportedLocalesOf(tag).length > 0;
  } catch {
    return false;
  }
}

/** What may be denied: a browser can forbid pages to keep anything. */
function kept(): string | null {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function keep(language: Language): void {
  try {
    localStorage.setItem(KEPT, language);
  } catch {
    // It is asked for again at the next visit.
  }
}

interface Spoken {
  language: Language;
  words: Words;
  /** For `Intl`: with the region that the browser asks for, such as `de-AT`. */
  locale: string;
  choose(language: Language): void;
}

const LanguageContext = createContext<Spoken | null>(null);

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState(() => firstSpoken([kept(), ...navigator.languages]));
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const spoken = useMemo(
    () => ({
      language,
      words: DICTIONARIES[language],
      locale: regional(language, navigator.languages),
      choose(chosen: Language) {
        keep(chosen);
        setLanguage(chosen);
      },
    }),
    [language],
  );
  return <LanguageContext value={spoken}>{children}</LanguageContext>;
}

export function useLanguage(): Spoken {
  const spoken = useContext(LanguageContext);
  if (!spoken) throw new Error("There is no LanguageProvider around this.");
  return spoken;
}

export function useWords(): Words {
  return useLanguage().words;
}
