import { useLocation } from "react-router";
import { useWords } from "../language";
import { CardPage } from "../layout/page";
import { useTimes } from "../times";

const AT_ONCE = 60_000; // milliseconds; by a deployment's wish there may be no time to think better of it

export function AccountClosedPage() {
  const { done } = useWords().data.delete;
  const { time } = useTimes();
  const state = useLocation().state as { erasedAfter?: unknown } | null;
  const erasedAfter = typeof state?.erasedAfter === "string" ? Date.parse(state.erasedAfter) : NaN;
  const text = Number.isNaN(erasedAfter) || erasedAfter < Date.now() + AT_ONCE ? done.atOnce : done.text(time(new Date(erasedAfter).toISOString()));
  return <CardPage title={done.title} intro={text} />;
}
