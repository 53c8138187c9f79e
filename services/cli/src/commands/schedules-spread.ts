import { Command, Option } from "commander";
import { type ApiClient, ApiError } from "../api-client.ts";
import type { BulkChange, Schedule } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { count } from "../describe-backfill.ts";
import { wrongUsage } from "../failure.ts";
import { formatInstant } from "../format-instant.ts";
import { type Column, formatTable } from "../format-table.ts";
import { listAll } from "../list-all.ts";

interface SpreadOptions {
  within: string;
  nameContains?: string;
  cron?: string;
  endpoint?: string;
  all?: boolean;
  dryRun?: boolean;
  tenant?: string;
  json?: boolean;
}

/** Which schedules, in the words of the API. */
interface Filter {
  all?: true;
  name_contains?: string;
  cron_expression?: string;
  endpoint?: string;
}

/** What the API changes in one request. */
const partSize = 1_000;

/** Schedules that are printed with their instants. */
const shownMax = 20;

export function schedulesSpread(cli: Cli): Command {
  return new Command("spread")
    .description("Spread a herd: each schedule starts by a stable offset of its own later; shows the new instants")
    .requiredOption("--within <window>", "15m, or 50% of the time to the next occurrence; none takes the spread away")
    .option("--name-contains <text>", "schedules whose name contains this text")
    .option("--cron <expression>", "schedules with exactly this expression, like '0 0 * * *'")
    .option("--endpoint <endpoint>", "schedules that call this endpoint: name or id")
    .addOption(new Option("--all", "all schedules of the tenant").conflicts(["nameContains", "cron", "endpoint"]))
    .option("--dry-run", "print what it would mean, and change nothing")
    .option("--tenant <slug>", "whose schedules, with an administrator's key")
    .option("--json", "print JSON")
    .action(async (options: SpreadOptions) => {
      const filter = toFilter(options);
      const api = await connectApi(cli, options);
      const changed = await spread(cli, api, filter, options);
      if (options.json) return printJson(cli, changed);
      for (const line of describeSpread(changed, options)) cli.print(line);
    });
}

export function toFilter({ nameContains, cron, endpoint, all }: SpreadOptions): Filter {
  const filter: Filter = {
    ...(nameContains === undefined ? {} : { name_contains: nameContains }),
    ...(cron === undefined ? {} : { cron_expression: cron }),
    ...(endpoint === undefined ? {} : { endpoint }),
  };
  if (all) return { all };
  if (Object.keys(filter).length === 0) throw wrongUsage("say which schedules: --name-contains, --cron, --endpoint or --all");
  return filter;
}

/** In one request; where there are too many for one, in parts, each of them wholly or not at all. */
async function spread(cli: Cli, api: ApiClient, filter: Filter, { within, dryRun }: SpreadOptions): Promise<BulkChange> {
  const path = `/api/v1/schedules/bulk${dryRun ? "?dry_run=true" : ""}`;
  const change = (some: object) => api.post<BulkChange>(path, { filter: some, changes: { spread: within === "none" ? null : within } });
  try {
    return await change(filter);
  } catch (error) {
    if (!(error instanceof ApiError) || error.problem.code !== "too_many_schedules") throw error;
  }
  const ids = await findIds(api, filter);
  let sum: BulkChange | undefined;
  for (let first = 0; first < ids.length; first += partSize) {
    const part = await change({ ids: ids.slice(first, first + partSize) }).catch((error: unknown) => {
      if (!dryRun) cli.remark(`${first} of ${count(ids.length, "schedule")} are changed, the rest is as it was`);
      throw error;
    });
    sum = sum === undefined ? part : plus(sum, part);
    cli.remark(`${Math.min(ids.length, first + partSize)} of ${count(ids.length, "schedule")}`);
  }
  return sum ?? change(filter);
}

/** The ids of the schedules that the filter finds, as the API would find them. */
async function findIds(api: ApiClient, { name_contains: name, cron_expression: cron, endpoint }: Filter): Promise<string[]> {
  const schedules = await listAll<Schedule>(api, "/api/v1/schedules", { name });
  return schedules
    .filter((one) => one.state !== "completed")
    .filter((one) => cron === undefined || one.cron_expression === cron.trim().replaceAll(/\s+/g, " "))
    .filter((one) => endpoint === undefined || one.endpoint.id === endpoint || one.endpoint.name === endpoint)
    .map(({ id }) => id);
}

/** Two parts as one. */
export function plus(a: BulkChange, b: BulkChange): BulkChange {
  const schedules = [...a.schedules, ...b.schedules].slice(0, a.schedules.length);
  const impact = a.impact === undefined || b.impact === undefined ? (a.impact ?? b.impact) : plusImpact(a.impact, b.impact);
  return {
    ...a,
    matched: a.matched + b.matched,
    changed: a.changed + b.changed,
    left_out: a.left_out + b.left_out,
    ...(impact === undefined ? {} : { impact }),
    schedules,
    is_cut: schedules.length < a.changed + b.changed,
  };
}

type Impact = NonNullable<BulkChange["impact"]>;

function plusImpact(a: Impact, b: Impact): Impact {
  const orNull = (one: number | null, other: number | null) => (one === null || other === null ? null : one + other);
  const [next] = [a.next_run_at, b.next_run_at].filter((at) => at !== null).sort();
  return {
    ...a,
    runs_before: a.runs_before + b.runs_before,
    runs_after: a.runs_after + b.runs_after,
    added: orNull(a.added, b.added),
    removed: orNull(a.removed, b.removed),
    queue_requests_max: a.queue_requests_max + b.queue_requests_max,
    withdrawn: a.withdrawn + b.withdrawn,
    next_run_at: next ?? null,
  };
}

type Spread = BulkChange["schedules"][number];

const columns: Column<Spread>[] = [
  { title: "schedule", value: ({ name }) => name },
  { title: "next run before", value: (schedule) => formatInstant(schedule.next_run_at_before) },
  { title: "after", value: (schedule) => formatInstant(schedule.next_run_at_after) },
];

export function describeSpread(
  { changed, impact, schedules }: BulkChange,
  { within, dryRun }: Pick<SpreadOptions, "within" | "dryRun">,
): string[] {
  if (changed === 0) return ["no such schedules"];
  const many = count(changed, "schedule");
  const taken = `${dryRun ? "would take" : "took"} the spread from ${many}`;
  const done = within === "none" ? taken : `${dryRun ? "would spread" : "spread"} ${many} within ${within}`;
  const withdrawn = impact?.withdrawn ?? 0;
  const shown = schedules.slice(0, shownMax);
  return [
    `${done}${withdrawn === 0 ? "" : `; ${count(withdrawn, "run")} claimed ahead withdrawn`}${dryRun ? "; nothing was changed" : ""}`,
    "",
    ...formatTable(shown, columns),
    ...(changed > shown.length ? [`and ${count(changed - shown.length, "more schedule")}`] : []),
  ];
}
