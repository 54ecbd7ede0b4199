import { useEffect, useState } from "react";

/** How long something has been going on: `short` is not worth a word, `long` is worth an apology. */
export function useElapsed(isGoingOn: boolean): "short" | "noticeable" | "long" {
  const [elapsed, setElapsed] = useState<"short" | "noticeable" | "long">("short");
  useEffect(() => {
    if (!isGoingOn) return;
    const timers = [
      setTimeout(() => setElapsed("noticeable"), 300),
      setTimeout(() => setElapsed("long"), 5000),
    ];
    return () => {
      timers.forEach(clearTimeout);
      setElapsed("short");
    };
  }, [isGoingOn]);
  return isGoingOn ? elapsed : "short";
}
