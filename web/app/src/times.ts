import { createContext, useContext, useMemo } from "react";
import { useLanguage } from "./language";

/** The zone that the account's times are shown in; empty is the browser's. */
export const TimeZoneContext = createContext("");

function formatter(locale: string, options: Intl.DateTimeFormatOptions, timeZone: string) {
  try {
    return new Intl.DateTimeFormat(locale, timeZone ? { ...options, timeZone } : options);
  } catch {
    return new Intl.DateTimeFormat(locale, options); // the service may know zones that this browser does not
  }
}

export function useTimes(): { date(iso: string): string; time(iso: string): string } {
  const { locale } = useLanguage();
  const timeZone = useContext(TimeZoneContext);
  return useMemo(() => {
    const dates = formatter(locale, { dateStyle: "medium" }, timeZone);
    const times = formatter(locale, { dateStyle: "medium", timeStyle: "short" }, timeZone);
    return { date: (iso) => dates.format(new Date(iso)), time: (iso) => times.format(new Date(iso)) };
  }, [locale, timeZone]);
}
