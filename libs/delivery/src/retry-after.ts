const secondsPattern = /^\d+$/;
/** The three date forms of RFC 9110. `Date.parse` alone would also read a date out of "foo 5". */
const datePatterns: readonly RegExp[] = [
  /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
];

/** Reads `Retry-After`, seconds or an HTTP date, as a wait in milliseconds from `nowMs`. Undefined for a negative wait or anything else (rule W14). */
export function retryAfterMs(header: string, nowMs: number): number | undefined {
  const text = header.trim();
  if (secondsPattern.test(text)) return Number(text) * 1000;
  if (!datePatterns.some((pattern) => pattern.test(text))) return undefined;
  const atMs = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`);
  return atMs >= nowMs ? atMs - nowMs : undefined;
}
