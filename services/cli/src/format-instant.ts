/** `2026-03-08 09:00:00.250Z`: an instant as the API answers it, easier to read and still to be pasted back. Milliseconds show only when there are some. */
export function formatInstant(instant: string | null | undefined): string {
  return instant === null || instant === undefined ? "" : instant.replace("T", " ").replace(/\.000Z$/, "Z");
}

/** `12 ms`, `3.2 s`, `4 min`, `2.5 h`: how long something took or came too late. */
export function formatDuration(durationMs: number | null | undefined): string {
  if (durationMs === null || durationMs === undefined) return "";
  const size = Math.abs(durationMs);
  if (size < 1_000) return `${Math.round(durationMs)} ms`;
  if (size < 60_000) return `${(durationMs / 1_000).toFixed(1)} s`;
  if (size < 3_600_000) return `${Math.round(durationMs / 60_000)} min`;
  return `${(durationMs / 3_600_000).toFixed(1)} h`;
}
