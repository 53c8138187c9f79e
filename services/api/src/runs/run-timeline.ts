import type { AttemptTable, RunEventTable } from "@downbeat/store/database.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import type { Selectable } from "kysely";
import { type RunRow, toRun } from "./read-runs.ts";

type Attempt = Selectable<AttemptTable>;
type RunEvent = Pick<Selectable<RunEventTable>, "at" | "actor" | "event" | "reason">;

interface TimelineEntry {
  at: Date;
  event: string;
  actor: string | null;
  detail: string | null;
}

/** A run with its attempts and its life. Index: primary keys, of the run's day. */
export async function readRunDetail(database: TenantDatabase, row: RunRow) {
  const attempts = await database
    .selectFrom("downbeat.attempts")
    .selectAll()
    .where("tenant_id", "=", row.tenant_id)
    .where("run_id", "=", row.id)
    .orderBy("attempt")
    .execute();
  const events = await database
    .selectFrom("downbeat.run_events")
    .select(["at", "actor", "event", "reason"])
    .where("tenant_id", "=", row.tenant_id)
    .where("run_id", "=", row.id)
    .orderBy("id")
    .execute();
  return {
    ...toRun(row),
    attempts: attempts.map(toAttempt),
    timeline: timelineOf(row, attempts, events).map((told) => ({ ...told, at: told.at.toISOString() })),
  };
}

/**
 * The life of a run from three sources: the stamps of its own row (the ordinary path writes no journal), its attempts, and the journal of everything out of the ordinary. Where the
 * journal tells of the end, the row's own stamp of it is left out. A stretch, and an occurrence that was decided against when it was claimed, was never created as a run: its life is its end.
 */
export function timelineOf(row: RunRow, attempts: readonly Attempt[], events: readonly RunEvent[]): TimelineEntry[] {
  const isEndTold = events.some(({ event }) => event === row.state);
  const entries = [
    ...(row.range_count === null ? entry(row.created_at, "created") : []),
    ...entry(row.queued_at, "queued"),
    ...attempts.flatMap(({ attempt, started_at, finished_at, outcome, code, executor }) => [
      ...entry(started_at, "attempt_started", `attempt ${attempt}`, executor),
      ...entry(finished_at, "attempt_ended", `attempt ${attempt}: ${code ?? outcome}`, executor),
    ]),
    ...(row.state === "running" ? entry(row.started_at, "attempt_started", `attempt ${row.attempt}`) : []),
    ...events.flatMap(({ at, event, actor, reason }) => entry(at, event, event === row.state ? endDetail(row, reason) : reason, actor)),
    ...(isEndTold ? [] : entry(row.finished_at, row.state, endDetail(row, row.reason))),
  ];
  // Stable: what happened in the same millisecond stays in the order of a life.
  return entries.sort((a, b) => a.at.getTime() - b.at.getTime());
}

/** Why it ended: `overlap: run … held its place`, `coalesced: 12 occurrences from … to …`. */
function endDetail(row: RunRow, reason: string | null): string | null {
  const { blocked_by: blockedBy, range_from: from, range_count: count, scheduled_for: to } = row;
  const what = { skipped: "held its place", canceled: "replaced it" }[row.state as string];
  const details = [
    ...(count === null || count === 1 || from === null ? [] : [`${count} occurrences from ${from.toISOString()} to ${to.toISOString()}`]),
    ...(blockedBy === null || what === undefined ? [] : [`run ${blockedBy} ${what}`]),
  ];
  return details.length === 0 ? reason : [reason ?? row.state, details.join(", ")].join(": ");
}

function toAttempt({ started_at: startedAt, finished_at: finishedAt, ...attempt }: Attempt) {
  return {
    attempt: attempt.attempt,
    outcome: attempt.outcome,
    code: attempt.code,
    http_status: attempt.http_status,
    started_at: startedAt?.toISOString() ?? null,
    finished_at: finishedAt.toISOString(),
    duration_ms: startedAt === null ? null : finishedAt.getTime() - startedAt.getTime(),
    response_excerpt: attempt.response_excerpt,
    executor: attempt.executor,
  };
}

/** One entry, or none where the stamp was never set. */
function entry(at: Date | null, event: string, detail: string | null = null, actor: string | null = null): TimelineEntry[] {
  return at === null ? [] : [{ at, event, actor, detail }];
}
