import { setImmediate } from "node:timers/promises";
import type { Sql } from "@downbeat/store/connect.ts";
import { type DataScope, type TenantDatabase, tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { parseInstant } from "@downbeat/timing/parse-instant.ts";
import { sql as fragment } from "kysely";
import type { Api, ApiParts } from "../api.ts";
import { type Caller, scopeOf } from "../http/authenticate.ts";
import { databaseNow } from "../schedules/create-schedule.ts";
import { isUuid } from "../http/field-types.ts";
import { type Forecast, ForecastLoad } from "./forecast-load.ts";
import { type ForecastAnswer, forecastQuery, type ForecastQuery, forecastSchema } from "./forecast-schemas.ts";
import { Problem, problemAnswer } from "../http/problem.ts";
import { readForecastSchedules } from "./read-forecast-schedules.ts";

const minuteMs = 60_000;
const dayMs = 86_400_000;
const minutesOfHour = 60;
const minutesOfDay = 1_440;

/** How far from now a forecast may begin: nobody plans further ahead, and what is past is in the ledger. */
const fromBehindMsMax = 31 * dayMs;
const fromAheadMsMax = 366 * dayMs;

/**
 * What one forecast may cost, in evaluations of rules (measured: 6 to 10 µs of CPU each): some four seconds, in which the process answers others. 100,000 schedules of one rule need a
 * ten-thousandth of it and 0.3 s; as many daily ones that are all different are over it, and half of them are left out.
 */
const stepsMax = 500_000;
const groupStepsMax = 50_000;

/** What is to come, for everybody who plans capacity. Nothing here writes. */
export function forecastRoutes(api: Api, { sql }: ApiParts): void {
  // One at a time: a large one needs some 100 MB while it lasts, and two would not be done sooner.
  let before: Promise<unknown> = Promise.resolve();
  api.route({
    method: "GET",
    url: "/forecast",
    schema: {
      operationId: "forecastLoad",
      summary: "Forecast the load",
      description:
        "How many runs start in each minute to come, by the rules alone: spreads, bounds, calendars, pauses that end, maintenance and `max_runs` are taken into account; retries, manual runs and backfills are not. An administrator who names no tenant sees all of them.",
      tags: ["schedules"],
      querystring: forecastQuery,
      response: { 200: forecastSchema.describe("The forecast."), default: problemAnswer },
    },
    handler: (request) => {
      const answer = before.then(() => forecast(sql, request.caller, request.query));
      before = answer.catch(() => {});
      return answer;
    },
  });
}

async function forecast(sql: Sql, caller: Caller, query: ForecastQuery): Promise<ForecastAnswer> {
  const scope = scopeOf(caller);
  const { fromMinute, endpointIds } = await tenantTransaction(sql, scope, async (database) => ({
    fromMinute: Math.floor(readFrom(query.from, await databaseNow(database)) / minuteMs),
    endpointIds: query.endpoint === undefined ? undefined : await findEndpointIds(database, scope, query.endpoint),
  }));
  const window = { fromMinute, minutes: query.days * minutesOfDay };
  const load = new ForecastLoad(window);
  const read = await readForecastSchedules(sql, { scope, filter: { endpointIds, name: query.name } }, (schedule) => load.add(schedule));
  const found = await load.compute({ stepsMax, groupStepsMax, breathe: () => setImmediate() });
  return tenantTransaction(sql, scope, async (database) => {
    const leftOut = read.leftOut + found.leftOut;
    const occurrences = sum(found.minutes);
    const secondsOf = (count: number) => (query.slots === undefined ? null : Math.ceil((count * query.call_seconds) / query.slots));
    return {
      from: toText(fromMinute),
      to: toText(fromMinute + window.minutes),
      schedules: read.schedules,
      occurrences,
      runs_per_minute_mean: Math.round((occurrences / window.minutes) * 1e6) / 1e6,
      peaks: await namePeaks(database, found, { isPlatform: scope.kind === "platform", secondsOf }),
      hours: toHours(found.minutes, fromMinute),
      days: await toDays(database, scope, { minutes: found.minutes, fromMinute }),
      limits: {
        slots: query.slots ?? null,
        call_seconds: query.call_seconds,
        peak_seconds: secondsOf(found.peaks[0]?.count ?? 0),
      },
      ...(query.resolution === "minute" ? { minutes: toMinutes(found.minutes, fromMinute) } : {}),
      is_cut: leftOut > 0,
      left_out: leftOut,
    };
  });
}

function readFrom(from: string | undefined, nowAt: number): number {
  const at = from === undefined ? nowAt : (parseInstant(from) ?? nowAt);
  if (at >= nowAt - fromBehindMsMax && at <= nowAt + fromAheadMsMax) return at;
  throw new Problem("invalid_request", {
    errors: [{ field: "from", message: "must not be more than 31 days ago or 366 days ahead", value: from }],
  });
}

/** Several tenants may have an endpoint of one name; an administrator who names no tenant means all of them. */
async function findEndpointIds(database: TenantDatabase, scope: DataScope, idOrName: string): Promise<string[]> {
  const named = database
    .selectFrom("downbeat.endpoints")
    .select("id")
    .where(isUuid(idOrName) ? "id" : "name", "=", idOrName);
  const rows = await (scope.kind === "tenant" ? named.where("tenant_id", "=", scope.tenantId) : named).execute();
  if (rows.length === 0) throw new Problem("not_found", { detail: "There is no such endpoint." });
  return rows.map(({ id }) => id);
}

interface PeakOptions {
  /** True: the peaks are those of all tenants. */
  isPlatform: boolean;
  secondsOf: (count: number) => number | null;
}

/** The peaks with the names of those who make them. Index: primary keys. Bounded: five of each for 20 peaks. */
async function namePeaks(
  database: TenantDatabase,
  { peaks }: Forecast,
  { isPlatform, secondsOf }: PeakOptions,
): Promise<ForecastAnswer["peaks"]> {
  const endpointIds = [...new Set(peaks.flatMap(({ topEndpoints }) => topEndpoints.map(({ id }) => id)))];
  const tenantIds = [...new Set(peaks.flatMap(({ topTenants }) => topTenants.map(({ id }) => id)))];
  if (endpointIds.length === 0) return [];
  const endpoints = await database
    .selectFrom("downbeat.endpoints as endpoint")
    .innerJoin("downbeat.tenants as tenant", "tenant.id", "endpoint.tenant_id")
    .select(["endpoint.id", "endpoint.name", "tenant.id as tenantId", "tenant.slug"])
    .where("endpoint.id", "in", endpointIds)
    .execute();
  const tenants = await database.selectFrom("downbeat.tenants").select(["id", "slug"]).where("id", "in", tenantIds).execute();
  const endpointById = new Map(endpoints.map((row) => [row.id, row]));
  const slugById = new Map(tenants.map(({ id, slug }) => [id, slug]));
  return peaks.map(({ minute, count, schedules, topEndpoints, topTenants, topSchedules }) => ({
    minute: toText(minute),
    count,
    schedules,
    seconds: secondsOf(count),
    endpoints: topEndpoints.map(({ id, count: ofEndpoint }) => {
      const { name = "", tenantId = "", slug = "" } = endpointById.get(id) ?? {};
      return { id, name, tenant: { id: tenantId, slug }, count: ofEndpoint };
    }),
    ...(isPlatform
      ? { tenants: topTenants.map(({ id, count: ofTenant }) => ({ id, slug: slugById.get(id) ?? "", count: ofTenant })) }
      : {}),
    top_schedules: topSchedules,
  }));
}

function toHours(minutes: Float64Array, fromMinute: number): ForecastAnswer["hours"] {
  return slices(minutes, fromMinute, minutesOfHour).map(({ first, counts }) => ({
    hour: toText(first),
    count: sum(counts),
    busiest_minute_count: counts.reduce((most, count) => Math.max(most, count), 0),
  }));
}

/** Days against the tenant's limit, which is a tenant's own: of all tenants together there is none. */
async function toDays(
  database: TenantDatabase,
  scope: DataScope,
  { minutes, fromMinute }: { minutes: Float64Array; fromMinute: number },
): Promise<ForecastAnswer["days"]> {
  const { limit, usedOn } =
    scope.kind === "tenant" ? await readLimit(database, scope.tenantId) : { limit: null, usedOn: new Map<string, number>() };
  return slices(minutes, fromMinute, minutesOfDay).map(({ first, counts }) => {
    const day = toText(first).slice(0, 10);
    const [count, used] = [sum(counts), usedOn.get(day) ?? 0];
    return { day, count, used, limit, is_over: limit === null ? null : count + used > limit };
  });
}

/** Index: primary keys. Days with usage are a month's. */
async function readLimit(database: TenantDatabase, tenantId: string): Promise<{ limit: number | null; usedOn: Map<string, number> }> {
  const tenant = await database.selectFrom("downbeat.tenants").select("runs_per_day_max").where("id", "=", tenantId).executeTakeFirst();
  const limit = tenant?.runs_per_day_max ?? null;
  if (limit === null) return { limit, usedOn: new Map() };
  const { rows } = await fragment<{ day: string; runs: number }>`
    select day::text, runs from downbeat.tenant_usage where tenant_id = ${tenantId}`.execute(database);
  return { limit, usedOn: new Map(rows.map(({ day, runs }) => [day, runs])) };
}

function toMinutes(minutes: Float64Array, fromMinute: number): [string, number][] {
  return [...minutes.entries()].flatMap(([place, count]): [string, number][] => (count === 0 ? [] : [[toText(fromMinute + place), count]]));
}

/** The window cut where hours or days begin; the first and the last slice may be short. */
function slices(minutes: Float64Array, fromMinute: number, length: number): { first: number; counts: Float64Array }[] {
  const found: { first: number; counts: Float64Array }[] = [];
  for (let first = Math.floor(fromMinute / length) * length; first < fromMinute + minutes.length; first += length) {
    const counts = minutes.subarray(Math.max(0, first - fromMinute), Math.max(0, first + length - fromMinute));
    found.push({ first, counts });
  }
  return found;
}

function sum(counts: Float64Array): number {
  return counts.reduce((total, count) => total + count, 0);
}

/** The start of a minute, counted since 1970. */
function toText(minute: number): string {
  return new Date(minute * minuteMs).toISOString();
}
