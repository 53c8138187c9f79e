import type { Overlap } from "@downbeat/timing/pass-gate.ts";
import type { Misfire } from "@downbeat/timing/plan-due.ts";
import type { DstGap, DstOverlap } from "@downbeat/timing/rule.ts";
import { type Command, Option } from "commander";
import { wrongUsage } from "./failure.ts";

/** What a schedule says, as options: for `create` and for `update`. All of them are texts; the API judges what they mean. */
export interface ScheduleOptions {
  name?: string;
  cron?: string;
  every?: string;
  at?: string;
  frequency?: string;
  anchor?: string;
  timezone?: string;
  dstGap?: string;
  dstOverlap?: string;
  startsAt?: string;
  endsAt?: string;
  calendar?: string[];
  spread?: string;
  misfire?: string;
  grace?: string;
  overlap?: string;
  maxInstances?: string;
  onResume?: string;
  maxRuns?: string;
  maxFailures?: string;
  endpoint?: string;
  path?: string;
  method?: string;
  input?: string;
}

// Named here, so that `--help` need not load what works with them.
export const misfires = ["latest", "all", "skip"] as const satisfies readonly Misfire[];
const overlaps = ["skip", "queue_one", "queue_all", "allow", "cancel_previous"] as const satisfies readonly Overlap[];
const dstGaps = ["run_at_gap_end", "shift", "skip"] as const satisfies readonly DstGap[];
const dstOverlaps = ["first", "last", "both"] as const satisfies readonly DstOverlap[];

/** Adds the options that say when a schedule runs, under which policies, and what it calls. `none` takes away what may be absent. */
export function addScheduleOptions(command: Command): Command {
  return command
    .option("--cron <expression>", "5 fields, or 6 with seconds first, or 7 with the year last: '*/5 * * * *'")
    .option("--frequency <preset>", "in place of an expression: hourly, 2hours, daily, 'dailyAt(13:00)', …")
    .option("--every <duration>", "seconds, or with a unit: 30s, 5m, 2h, 1d")
    .option("--at <instant>", "once, with an offset: 2026-03-08T09:00:00-05:00, or as a local time of --timezone")
    .option("--anchor <instant>", "with --every: runs are at this instant plus multiples (default: now)")
    .option("--timezone <zone>", "IANA name in which the cron expression is read (default: UTC)")
    .addOption(new Option("--dst-gap <policy>", "a slot that clocks skip (default: run_at_gap_end)").choices(dstGaps))
    .addOption(new Option("--dst-overlap <policy>", "a slot that clocks show twice (default: first)").choices(dstOverlaps))
    .option("--starts-at <instant>", "nothing runs before it; none takes it away")
    .option("--ends-at <instant>", "nothing runs after it; none takes it away")
    .option("--calendar <calendar>", "name or id of one it is held to; give it once for each, or none", collect)
    .option("--spread <window>", "start each run by a stable offset later, within 15m, or 50% of the time to the next; or none")
    .addOption(new Option("--misfire <policy>", "what runs of what a downtime made late (default: latest)").choices(misfires))
    .option("--grace <duration>", "an occurrence later than this is missed: 15m, 1d, or none for no limit (default: 1d)")
    .addOption(new Option("--overlap <policy>", "an occurrence while another run is under way (default: skip)").choices(overlaps))
    .option("--max-instances <count>", "with --overlap allow: runs under way at once (default: 3)")
    .addOption(new Option("--on-resume <policy>", "what runs of what fell into a pause (default: skip)").choices(misfires))
    .option("--max-runs <count>", "it is completed when it has had this many runs; or none")
    .option("--max-failures <count>", "it is paused when this many runs have failed in a row; or none")
    .option("--path <path>", "appended to the endpoint's base URL")
    .addOption(new Option("--method <method>", "default: POST").choices(["POST", "PUT", "PATCH", "GET"]))
    .option("--input <json>", "JSON object handed to the target with every run");
}

/** `--calendar`, given once for each. */
function collect(text: string, earlier: readonly string[] = []): string[] {
  return [...earlier, text];
}

/** The options that say when: one of them at a time. */
export const ruleOptions = ["cron", "every", "at", "frequency"] as const;

/** The fields of a request for the options that were given, but for `target`. What cannot even be written down is wrong usage. */
export function toScheduleFields(options: ScheduleOptions): Record<string, unknown> {
  const { calendar } = options;
  const fields = {
    name: options.name,
    cron_expression: options.cron,
    frequency: options.frequency,
    interval_seconds: options.every === undefined ? undefined : readSeconds("--every", options.every),
    run_at: options.at,
    anchor_at: options.anchor,
    timezone: options.timezone,
    dst_gap: options.dstGap,
    dst_overlap: options.dstOverlap,
    starts_at: orNone(options.startsAt),
    ends_at: orNone(options.endsAt),
    calendars: calendar?.length === 1 && calendar[0] === "none" ? [] : calendar,
    spread: orNone(options.spread),
    misfire: options.misfire,
    grace_seconds: orNone(options.grace, (text) => readSeconds("--grace", text)),
    overlap: options.overlap,
    max_instances: options.maxInstances === undefined ? undefined : readNumber("--max-instances", options.maxInstances),
    on_resume: options.onResume,
    max_runs: orNone(options.maxRuns, (text) => readNumber("--max-runs", text)),
    max_failures: orNone(options.maxFailures, (text) => readNumber("--max-failures", text)),
    endpoint: options.endpoint,
    input: options.input === undefined ? undefined : readInput(options.input),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** The target's fields that were given; undefined when none was. */
export function toTargetFields({ path, method }: ScheduleOptions): { path?: string; method?: string } | undefined {
  if (path === undefined && method === undefined) return undefined;
  return { ...(path === undefined ? {} : { path }), ...(method === undefined ? {} : { method }) };
}

export function schedulePath(schedule: string): string {
  return `/api/v1/schedules/${encodeURIComponent(schedule)}`;
}

function orNone<Value = string>(
  text: string | undefined,
  read: (text: string) => Value = (given) => given as Value,
): Value | null | undefined {
  return text === undefined ? undefined : text === "none" ? null : read(text);
}

const secondsOfUnit = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** Seconds of a duration, for the API to judge whether it takes them. */
function readSeconds(option: string, text: string): number {
  const [, amount, unit = "s"] = /^(-?\d+(?:\.\d+)?)([smhd])?$/.exec(text.trim()) ?? [];
  if (amount === undefined) throw wrongUsage(`${option} takes seconds, or a number with s, m, h or d, like 90, 30s or 5m; got "${text}"`);
  return Number(amount) * secondsOfUnit[unit as keyof typeof secondsOfUnit];
}

function readNumber(option: string, text: string): number {
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number)) throw wrongUsage(`${option} takes a number; got "${text}"`);
  return number;
}

function readInput(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw wrongUsage(`--input is not JSON: ${(error as Error).message}`);
  }
}
