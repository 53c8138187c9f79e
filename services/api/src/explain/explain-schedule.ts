import { tenantTransaction, type TenantDatabase } from "@downbeat/store/tenant-transaction.ts";
import { formatLocal } from "@downbeat/timing/local-time.ts";
import { type Instant, UnusableRuleError } from "@downbeat/timing/rule.ts";
import { type Zone, zoneOf } from "@downbeat/timing/zone.ts";
import * as z from "zod";
import type { Api, ApiParts } from "../api.ts";
import { type LocalReading, readAskedTime, readLocalTime } from "./asked-instant.ts";
import { scopeOf } from "../http/authenticate.ts";
import { collectFacts, collectScheduleFacts } from "./collect-facts.ts";
import { explainInstant } from "./explain-instant.ts";
import { explanationSchema } from "./explain-schemas.ts";
import type { InstantFacts, ScheduleFacts } from "./instant-facts.ts";
import { problemAnswer } from "../http/problem.ts";
import { toRun } from "../runs/read-runs.ts";
import { findScheduleOfRuns } from "../schedules/read-schedules.ts";
import { occurrenceAfter, occurrenceBefore, spanAt } from "./rule-history.ts";
import { scheduleParams } from "../schedules/schedule-schemas.ts";

const atQuery = z
  .string()
  .max(40)
  .refine(
    (text) => readAskedTime(text) !== null,
    'must be a date and time, with an offset like "2026-03-08T07:00:00Z" (a + is sent as %2B) or without one, like "2026-03-08T02:30", as the schedule\'s clocks show it',
  )
  .optional()
  .describe(
    "The instant to explain: with an offset, or a local time like `2026-03-08T02:30` that is read in the schedule's zone. Default: the last occurrence.",
  );

/** Why did it run, or not run? The answer for one instant. */
export function explainRoutes(api: Api, { sql }: ApiParts): void {
  api.route({
    method: "GET",
    url: "/schedules/:schedule/explain",
    schema: {
      operationId: "explainSchedule",
      summary: "Explain one instant of a schedule",
      description: "What became of it and why, step by step, also for instants to come. A deleted schedule is found by its id.",
      tags: ["schedules"],
      params: scheduleParams,
      querystring: z.strictObject({ at: atQuery }),
      response: { 200: explanationSchema.describe("The explanation."), default: problemAnswer },
    },
    handler: (request) =>
      tenantTransaction(sql, scopeOf(request.caller), async (database) => {
        const key = await findScheduleOfRuns(database, request.caller, request.params.schedule);
        const known = await collectScheduleFacts(database, key);
        const asked = request.query.at ?? null;
        const facts = await collectFacts(database, known, asked === null ? { at: lastOccurrence(known) } : toInstant(asked, known));
        return { asked, ...(await toExplanation(database, facts)) };
      }),
  });
}

/** What is meant where nothing is asked about: the last occurrence, else the first one to come. */
function lastOccurrence({ spans, schedule, nowAt }: ScheduleFacts): Instant {
  const createdAt = schedule.created_at.getTime();
  return occurrenceBefore(spans, nowAt + 1, createdAt) ?? occurrenceAfter(spans, nowAt, createdAt) ?? nowAt;
}

/** The zone in which a local time is to be read is the one of its time: the rule then may have had another than today's. */
function toInstant(asked: string, { spans }: ScheduleFacts): { at: Instant; local?: LocalReading } {
  const time = readAskedTime(asked);
  if (time === null) throw new Error(`"${asked}" was accepted and cannot be read`);
  if (time.kind === "instant") return { at: time.at };
  const read = (at: Instant): LocalReading => {
    const { timing, row } = spanAt(spans, at);
    try {
      return readLocalTime(timing.rule, row, time.wall);
    } catch (error) {
      if (!(error instanceof UnusableRuleError)) throw error;
      return { ...readLocalTime({ kind: "once", runAt: time.wall }, { ...row, timezone: "UTC" }, time.wall), timezone: "UTC" };
    }
  };
  const local = read(read(time.wall).at);
  return { at: local.at, local };
}

async function toExplanation(database: TenantDatabase, facts: InstantFacts) {
  const { at, detail, others, schedule, local } = facts;
  const { outcome, headline, steps } = explainInstant(facts);
  const { zone, timezone } = zoneThen(facts);
  return {
    schedule: { id: schedule.id, name: schedule.name },
    at: new Date(at).toISOString(),
    local: formatLocal(zone, at),
    timezone: local?.timezone ?? timezone,
    headline,
    outcome,
    run: detail,
    steps,
    previous: await explainNeighbour(database, facts, facts.previousAt),
    next: await explainNeighbour(database, facts, facts.nextAt),
    other_runs: others.map(toRun),
  };
}

async function explainNeighbour(database: TenantDatabase, known: ScheduleFacts, at: Instant | null) {
  if (at === null) return null;
  const facts = await collectFacts(database, known, { at });
  const { outcome, headline } = explainInstant(facts);
  const { run } = facts;
  return {
    at: new Date(at).toISOString(),
    local: formatLocal(zoneThen(facts).zone, at),
    outcome,
    headline,
    run_id: run?.id ?? null,
    state: run?.state ?? null,
  };
}

function zoneThen({ rule }: InstantFacts): { zone: Zone; timezone: string } {
  const { timezone } = rule.span.row;
  try {
    return { zone: zoneOf(timezone), timezone };
  } catch (error) {
    if (!(error instanceof UnusableRuleError)) throw error;
    return { zone: zoneOf("UTC"), timezone: "UTC" };
  }
}
