import { useLanguage } from "../../language";
import { de } from "./de";
import { en, type Words } from "./en";

export type { Words };

const DICTIONARIES = { en, de };

export function useAdministrationWords(): Words {
  return DICTIONARIES[useLanguage().language];
}

/** What the service may call by a name that only a newer release knows. */
export function nameOf(names: Readonly<Record<string, string>>, key: string): string {
  return Object.hasOwn(names, key) ? names[key]! : key;
}
