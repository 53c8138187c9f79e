import { type TenantDatabase, tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { type Instant, UnusableRuleError } from "@downbeat/timing/rule.ts";
import { type ClockChange, nextClockChange, offsetMsAt, type Zone, zoneOf } from "@downbeat/timing/zone.ts";
import { sql as fragment } from "kysely";
import * as z from "zod";
import type { Api, ApiParts } from "../api.ts";
import { scopeOf } from "../http/authenticate.ts";
import { problemAnswer } from "../http/problem.ts";
import { timezonesSchema } from "./timezone-schemas.ts";

const lookAheadMs = 400 * 86_400_000;

const movesMax = 50;

export function timezoneRoutes(api: Api, { sql }: ApiParts): void {
  api.route({
    method: "GET",
    url: "/timezones",
    schema: {
      operationId: "getTimezones",
      summary: "Time zones in use, their next clock changes, and what a new time zone database moved",
      description: "A tenant's key sees the zones and moves of its own schedules.",
      tags: ["schedules"],
      querystring: z.strictObject({}),
      response: { 200: timezonesSchema.describe("The zones."), default: problemAnswer },
    },
    handler: async (request) => {
      const tenantId = request.caller.tenant?.id;
      const { zones, state, moves, nowAt } = await tenantTransaction(sql, scopeOf(request.caller), async (database) => ({
        zones: await countZones(database, tenantId),
        state: await readState(database),
        moves: await readMoves(database, tenantId),
        nowAt: (await database.selectNoFrom(fragment<Date>`now()`.as("at")).executeTakeFirstOrThrow()).at.getTime(),
      }));
      return {
        tzdata: process.versions.tz ?? null,
        dispatchers: state === undefined ? null : { tzdata: state.tzdata, compared_at: toText(state.finishedMs) },
        items: zones.map(({ timezone, schedules }) => ({ timezone, schedules: Number(schedules), ...describeZone(timezone, nowAt) })),
        moves: moves.map(toMove),
      };
    },
  });
}

/** Reads the scope's schedules: by the tenant's key, or all of them for an administrator. */
function countZones(database: TenantDatabase, tenantId: string | undefined) {
  const zones = database
    .selectFrom("downbeat.schedules")
    .select(["timezone", (query) => query.fn.countAll<string>().as("schedules")])
    .where("kind", "=", "cron")
    .where("deleted_at", "is", null)
    .groupBy("timezone")
    .orderBy("timezone");
  return (tenantId === undefined ? zones : zones.where("tenant_id", "=", tenantId)).execute();
}

function readState(database: TenantDatabase) {
  return database
    .selectFrom("downbeat.system_state")
    .select(fragment<string>`value->>'subject'`.as("tzdata"))
    .select(fragment<number | null>`(value->>'finishedAt')::float8`.as("finishedMs"))
    .where("key", "=", "tzdata")
    .executeTakeFirst();
}

/** Index: schedule_events_moved. */
function readMoves(database: TenantDatabase, tenantId: string | undefined) {
  const moves = database
    .selectFrom("downbeat.schedule_events as event")
    .innerJoin("downbeat.schedules as rule", (join) =>
      join.onRef("rule.tenant_id", "=", "event.tenant_id").onRef("rule.id", "=", "event.schedule_id"),
    )
    .innerJoin("downbeat.tenants as tenant", "tenant.id", "event.tenant_id")
    .select(["event.at", "event.tenant_id", "tenant.slug", "event.schedule_id", "rule.name", "event.detail"])
    .where("event.event", "=", "moved")
    .orderBy("event.at", "desc")
    .orderBy("event.id", "desc")
    .limit(movesMax);
  return (tenantId === undefined ? moves : moves.where("event.tenant_id", "=", tenantId)).execute();
}

type MoveRow = Awaited<ReturnType<typeof readMoves>>[number];

function toMove({ at, tenant_id, slug, schedule_id, name, detail }: MoveRow) {
  // As a dispatcher wrote it (plan-moves.ts).
  const told = detail as {
    timezones: string[];
    tzdata_before: string | null;
    tzdata: string | null;
    gone: string[];
    come: string[];
    from: string;
  };
  return {
    at: at.toISOString(),
    tenant: { id: tenant_id, slug },
    schedule: { id: schedule_id, name },
    timezones: told.timezones,
    tzdata_before: told.tzdata_before ?? null,
    tzdata: told.tzdata ?? null,
    gone: told.gone,
    come: told.come,
    from: told.from,
  };
}

function describeZone(timezone: string, nowAt: Instant) {
  const zone = zoneIfKnown(timezone);
  if (zone === null) return { is_known: false, offset: null, changes: [] };
  const next = nextClockChange(zone, nowAt, nowAt + lookAheadMs);
  const afterNext = next === null ? null : nextClockChange(zone, next.at, nowAt + lookAheadMs);
  const changes = [next, afterNext].filter((change) => change !== null);
  return { is_known: true, offset: showOffset(offsetMsAt(zone, nowAt)), changes: changes.map(toChange) };
}

function toChange({ at, offsetBeforeMs, offsetAfterMs }: ClockChange) {
  return { at: new Date(at).toISOString(), before: showOffset(offsetBeforeMs), after: showOffset(offsetAfterMs) };
}

function zoneIfKnown(timezone: string): Zone | null {
  try {
    return zoneOf(timezone);
  } catch (error) {
    if (error instanceof UnusableRuleError) return null;
    throw error;
  }
}

/** `-03:30` */
function showOffset(offsetMs: number): string {
  const minutes = Math.round(Math.abs(offsetMs) / 60_000);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${offsetMs < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

function toText(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}
