import type { RunDetail } from "./api-answers.ts";
import { formatDuration, formatInstant } from "./format-instant.ts";
import type { Column } from "./format-table.ts";

/** The columns in which the attempts of a run are shown. */
export const attemptColumns: readonly Column<RunDetail["attempts"][number]>[] = [
  { title: "attempt", value: (attempt) => attempt.attempt, align: "right" },
  { title: "outcome", value: (attempt) => attempt.outcome },
  { title: "code", value: (attempt) => attempt.code },
  { title: "http", value: (attempt) => attempt.http_status, align: "right" },
  { title: "started", value: (attempt) => formatInstant(attempt.started_at) },
  { title: "took", value: (attempt) => formatDuration(attempt.duration_ms), align: "right" },
  { title: "answer", value: (attempt) => attempt.response_excerpt?.slice(0, 80) },
];
