import type { Words } from ".";

/** A duration in words, in the largest unit that tells it well: 90 seconds, 2 minutes, 3 hours. */
export function inWords(seconds: number, words: Words): string {
  if (seconds < 120) return words.seconds(Math.max(1, Math.ceil(seconds)));
  if (seconds < 2 * 3600) return words.minutes(Math.ceil(seconds / 60));
  if (seconds < 2 * 86_400) return words.hours(Math.ceil(seconds / 3600));
  return words.days(Math.ceil(seconds / 86_400));
}
