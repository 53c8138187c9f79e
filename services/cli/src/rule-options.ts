import { type Command, InvalidArgumentError } from "commander";
import { readSeconds } from "@downbeat/timing/read-duration.ts";
import type { PreviewQuery } from "./preview-query.ts";

/** The options with which a rule is asked about on the command line. */
export interface RuleOptions {
  cron?: string;
  frequency?: string;
  interval?: string;
  at?: string;
  anchor?: string;
  timezone?: string;
  dstGap?: string;
  dstOverlap?: string;
  from?: string;
  count?: number;
}

/** Adds them. Values are judged by the timing library, which says what would be right. */
export function addRuleOptions(command: Command): Command {
  return command
    .option("--cron <expression>", "5 fields, or 6 with seconds first, or 7 with the year last: '30 2 * * *'")
    .option("--frequency <preset>", "in place of an expression: hourly, 2hours, daily, 'dailyAt(13:00)', …")
    .option("--interval <duration>", "seconds, or with a unit: 30s, 5m, 2h, 1d")
    .option("--at <instant>", "once: with an offset, or a local time of --timezone")
    .option("--anchor <instant>", "with --interval: runs are at this instant plus multiples (default: --from)")
    .option("--timezone <zone>", "IANA name in which a cron expression or a local time is read (default: UTC)")
    .option("--dst-gap <policy>", "a slot that clocks skip: run_at_gap_end, shift or skip (default: run_at_gap_end)")
    .option("--dst-overlap <policy>", "a slot that clocks show twice: first, last or both (default: first)");
}

/** More than anybody reads, and still a second's work. */
export const previewCountMax = 100_000;

export function readPreviewCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > previewCountMax)
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${previewCountMax}.`);
  return count;
}

/** The question that the options ask. */
export function toQuery(options: RuleOptions): PreviewQuery {
  const { cron, frequency, interval, at, anchor, timezone, dstGap, dstOverlap, from, count } = options;
  const seconds = interval === undefined ? undefined : readSeconds(interval);
  const fields = {
    cron,
    frequency,
    interval_seconds: seconds === undefined ? undefined : "value" in seconds ? seconds.value : interval,
    run_at: at,
    anchor_at: anchor,
    timezone,
    dst_gap: dstGap,
    dst_overlap: dstOverlap,
    from,
    count,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
