import type { ScheduleTable } from "@downbeat/store/database.ts";
import { toCalendar } from "@downbeat/store/stored-timing.ts";
import type { TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import type { Misfire, Timing } from "@downbeat/timing/plan-due.ts";
import type { Overlap } from "@downbeat/timing/pass-gate.ts";
import { readSpread } from "@downbeat/timing/read-duration.ts";
import type { Rule } from "@downbeat/timing/rule.ts";
import { validateRule } from "@downbeat/timing/validate-rule.ts";
import type { Insertable } from "kysely";
import { isUuid } from "../http/field-types.ts";
import { holdCalendars } from "../calendars/lock-calendars.ts";
import { type FieldError, Problem } from "../http/problem.ts";
import type { TimingFields } from "./schedule-schemas.ts";

/** What a caller may ask of a rule. */
export interface TimingPolicy {
  tenantId: string;
  /** The shortest time between two occurrences, in seconds. */
  intervalSecondsMin: number;
  /** Grace of schedules that name none, in seconds. */
  graceSecondsDefault: number;
}

export type TimingColumns = Pick<
  Insertable<ScheduleTable>,
  | "kind"
  | "frequency"
  | "cron_expression"
  | "timezone"
  | "interval_seconds"
  | "anchor_at"
  | "run_at"
  | "starts_at"
  | "ends_at"
  | "dst_gap"
  | "dst_overlap"
  | "misfire"
  | "grace_seconds"
  | "overlap"
  | "max_instances"
  | "on_resume"
  | "spread_seconds"
  | "spread_share"
  | "max_runs"
  | "max_failures"
  | "calendar_ids"
  | "tzdata"
>;

export interface ReadTiming {
  columns: TimingColumns;
  timing: Timing;
}

/**
 * Reads everything a schedule says about time. Answers what is to be stored and the timing that the library works with, or every field at fault.
 */
export async function readGivenTiming(
  database: TenantDatabase,
  given: TimingFields,
  { scheduleId, nowAt, policy }: { scheduleId: string; nowAt: number; policy: TimingPolicy },
): Promise<{ errors: FieldError[]; read?: ReadTiming }> {
  const errors: FieldError[] = [];
  const calendars = await findNamedCalendars(database, policy.tenantId, given.calendars ?? []);
  errors.push(...calendars.errors);
  const { kind = inferKind(given), timezone } = given;
  const validation = validateRule(
    { ...given, kind },
    {
      nowAt,
      intervalSecondsMin: policy.intervalSecondsMin,
      calendars: calendars.found.map((row) => toCalendar(row, row.id)),
    },
  );
  if (!validation.ok) errors.push(...validation.problems);
  const spread = given.spread === undefined || given.spread === null ? { value: null } : readSpread(given.spread);
  if ("problem" in spread) errors.push({ field: "spread", message: spread.problem, value: given.spread });
  if (!validation.ok || "problem" in spread || errors.length > 0) return { errors };
  const { rule } = validation;
  const graceSeconds = given.grace_seconds === undefined ? policy.graceSecondsDefault : given.grace_seconds;
  const misfire: Misfire = given.misfire ?? "latest";
  const overlap: Overlap = given.overlap ?? "skip";
  const columns: TimingColumns = {
    ...toRuleColumns(rule),
    frequency: given.frequency ?? null,
    // A one-off keeps the zone it was given in, for people; its instant is what counts.
    ...(rule.kind === "once" && typeof timezone === "string" ? { timezone } : {}),
    misfire,
    grace_seconds: graceSeconds,
    overlap,
    max_instances: given.max_instances ?? 3,
    on_resume: given.on_resume ?? "skip",
    spread_seconds: spread.value?.kind === "duration" ? spread.value.windowMs / 1_000 : null,
    spread_share: spread.value?.kind === "share" ? spread.value.share : null,
    max_runs: given.max_runs ?? null,
    max_failures: given.max_failures ?? null,
    calendar_ids: calendars.found.map(({ id }) => id),
    tzdata: process.versions.tz ?? null,
  };
  return {
    errors,
    read: {
      columns,
      timing: { rule, scheduleId, spread: spread.value, misfire, graceMs: graceSeconds === null ? null : graceSeconds * 1_000 },
    },
  };
}

/** `kind` may be left out where the one field that decides it is there. */
export function inferKind(given: TimingFields): Rule["kind"] {
  const kinds = (Object.entries(decidingFields) as [Rule["kind"], readonly (keyof TimingFields)[]][])
    .map(([kind, fields]) => ({ kind, field: fields.find((name) => (given[name] ?? undefined) !== undefined) }))
    .filter(({ field }) => field !== undefined);
  const [found, other] = kinds;
  if (found !== undefined && other === undefined) return found.kind;
  const message =
    found === undefined
      ? "is missing, and nothing says which it is: give cron_expression, frequency, interval_seconds or run_at"
      : `is missing, and ${kinds.map(({ field }) => field).join(" and ")} contradict each other: give one of them`;
  throw new Problem("invalid_request", { errors: [{ field: "kind", message, expected: Object.keys(decidingFields) }] });
}

const decidingFields = { cron: ["cron_expression", "frequency"], interval: ["interval_seconds"], once: ["run_at"] } as const;

/** Calendars by name or id: the tenant's own, and where it has none of that name, the installation's. */
async function findNamedCalendars(database: TenantDatabase, tenantId: string, names: readonly string[]) {
  if (names.length === 0) return { found: [], errors: [] };
  const named = database
    .selectFrom("downbeat.calendars")
    .select(["id", "name", "kind", "timezone", "entries", "tenant_id"])
    .where((where) => where.or([where("tenant_id", "=", tenantId), where("tenant_id", "is", null)]))
    .where((where) => where.or([where("name", "in", [...names]), ...names.filter(isUuid).map((id) => where("id", "=", id))]));
  // Read again once they are held: one that was just changed is then seen as it is now, one that was deleted not at all.
  await holdCalendars(
    database,
    (await named.execute()).map(({ id }) => id),
  );
  const rows = await named.execute();
  const own = rows.toSorted((a, b) => Number(a.tenant_id === null) - Number(b.tenant_id === null));
  const found = names.map((name) => own.find((row) => (isUuid(name) ? row.id === name : row.name === name)));
  const errors = names.flatMap((name, index): FieldError[] =>
    found[index] === undefined
      ? [{ field: `calendars.${index}`, message: "is not the id or name of a calendar of this tenant or of the installation", value: name }]
      : [],
  );
  return { found: [...new Map(found.flatMap((row) => (row === undefined ? [] : [[row.id, row] as const]))).values()], errors };
}

function toRuleColumns(rule: Rule) {
  const bounds = {
    kind: rule.kind,
    starts_at: toDate(rule.startsAt),
    ends_at: toDate(rule.endsAt),
    cron_expression: null,
    timezone: "UTC",
    interval_seconds: null,
    anchor_at: null,
    run_at: null,
    dst_gap: "run_at_gap_end" as const,
    dst_overlap: "first" as const,
  };
  switch (rule.kind) {
    case "cron":
      return {
        ...bounds,
        cron_expression: rule.cronExpression,
        timezone: rule.timezone,
        dst_gap: rule.dstGap ?? bounds.dst_gap,
        dst_overlap: rule.dstOverlap ?? bounds.dst_overlap,
      };
    case "interval":
      return { ...bounds, interval_seconds: rule.intervalSeconds, anchor_at: new Date(rule.anchorAt) };
    case "once":
      return { ...bounds, run_at: new Date(rule.runAt) };
  }
}

function toDate(instant: number | undefined): Date | null {
  return instant === undefined ? null : new Date(instant);
}
