import { compileCronPattern, nextWallTime } from "@downbeat/timing/cron-pattern.ts";
import { formatWall } from "@downbeat/timing/local-time.ts";
import { isGap, repetitionEnd, wallTimeAfter } from "@downbeat/timing/next-cron-occurrence.ts";
import { parseInstant } from "@downbeat/timing/parse-instant.ts";
import type { CronRule, Instant, Rule } from "@downbeat/timing/rule.ts";
import { traceLocal } from "@downbeat/timing/trace-instant.ts";
import { nextClockChange, showingsOf, type WallTime, zoneOf } from "@downbeat/timing/zone.ts";
import type { ScheduleRuleRow } from "../schedules/stored-rule.ts";
import { isoText } from "./explain-words.ts";

/** A date and time as it was asked for: an instant, or what the clocks of some zone show. */
export type AskedTime = { kind: "instant"; at: Instant } | { kind: "local"; wall: WallTime };

/** Reads an instant with an offset or a local time without; seconds may be left out, and a space may stand for the T. Null: it is neither. */
export function readAskedTime(text: string): AskedTime | null {
  const [, date, time, second = ":00", offset] =
    /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(:\d{2}(?:\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?$/i.exec(text.trim()) ?? [];
  if (date === undefined) return null;
  const at = parseInstant(`${date}T${time}${second}${offset?.toUpperCase() ?? "Z"}`);
  if (at === null) return null;
  return offset === undefined ? { kind: "local", wall: at } : { kind: "instant", at };
}

/** Where to look for what became of a local time. */
export interface LocalReading {
  wall: WallTime;
  timezone: string;
  /** What the clocks make of it. */
  shown: "once" | "twice" | "never";
  /** The same in words. */
  text: string;
  /** The instant to explain: one at which the clocks show it, or to which its slot is moved. Where there is none, the instant at which the clocks change. */
  at: Instant;
  /** False: the clocks never show it, and nothing of the rule stands for it. */
  isInstant: boolean;
  /** Whether the rule names it, for what the clocks never show. */
  isNamed: boolean;
  /** Other instants at which the clocks show it. */
  others: Instant[];
}

/** Reads a local time as the rule's clocks and policies do. */
export function readLocalTime(rule: Rule, row: ScheduleRuleRow, wall: WallTime): LocalReading {
  const { timezone } = row;
  const showing = showingsOf(zoneOf(timezone), wall);
  const isNamed = rule.kind !== "cron" || isNamedBy(rule, wall);
  const reading = { wall, timezone, isInstant: true, isNamed, others: [] };
  const shown = formatWall(wall);
  switch (showing.kind) {
    case "once":
      return { ...reading, shown: "once", at: showing.at, text: `${shown} in ${timezone} is ${isoText(showing.at)}.` };
    case "twice": {
      const both = [showing.first, showing.last];
      const meant = rule.kind === "once" && both.includes(rule.runAt) ? [rule.runAt] : both;
      const [at = showing.first] = rule.kind === "cron" && !followsRealTime(rule) ? traceLocal(rule, wall).instants : meant;
      const others = both.filter((other) => other !== at);
      const text = `The clocks of ${timezone} show ${shown} twice, at ${both.map(isoText).join(" and ")}; this is about the ${at === showing.first ? "first" : "second"} time.`;
      return { ...reading, shown: "twice", at, others, text };
    }
    case "never": {
      const { change } = showing;
      if (rule.kind !== "cron") {
        const at = rule.kind === "once" && rule.runAt === wall - change.offsetBeforeMs ? rule.runAt : change.at;
        return { ...reading, shown: "never", at, text: `${gapText(timezone, wall, change)}; the nearest instant is ${isoText(at)}.` };
      }
      const [moved] = isNamed && !followsRealTime(rule) ? traceLocal(rule, wall).instants : [];
      const at = moved ?? change.at;
      return { ...reading, shown: "never", at, isInstant: moved !== undefined, text: slotText(rule, wall, change) };
    }
  }
}

/** Slots of a rule that the clocks skip. */
export interface GapSlots {
  slots: WallTime[];
  /** What the clocks do, and what becomes of the first of them. */
  text: string;
}

/** The longest jump of any zone's clocks: a day that Samoa left out. */
const jumpMsMax = 26 * 3_600_000;

/**
 * For somebody who asks about an instant at which a skipped slot would have been: what `02:30` with yesterday's offset comes to, or the instant of the jump itself, at which previews show
 * the slots it leaves out. Null: there are none.
 */
export function gapSlotsAt(rule: Rule, at: Instant): GapSlots | null {
  if (rule.kind !== "cron" || followsRealTime(rule)) return null;
  const change = nextClockChange(zoneOf(rule.timezone), at - jumpMsMax, at);
  if (change === null || !isGap(change) || at >= change.at + change.offsetAfterMs - change.offsetBeforeMs) return null;
  const from = at === change.at ? repetitionEnd(change) : at + change.offsetBeforeMs;
  const to = at === change.at ? wallTimeAfter(change) : from + 1;
  const pattern = compileCronPattern(rule.cronExpression);
  const slots: WallTime[] = [];
  for (let slot = nextWallTime(pattern, from - 1); slot !== null && slot < to && slots.length < 5; slot = nextWallTime(pattern, slot)) {
    slots.push(slot);
  }
  const [first] = slots;
  return first === undefined ? null : { slots, text: slotText(rule, first, change) };
}

function isNamedBy(rule: CronRule, wall: WallTime): boolean {
  return nextWallTime(compileCronPattern(rule.cronExpression), wall - 1) === wall;
}

function followsRealTime(rule: CronRule): boolean {
  return compileCronPattern(rule.cronExpression).matchesEveryHour;
}

type Change = Parameters<typeof isGap>[0];

function slotText(rule: CronRule, wall: WallTime, change: Change): string {
  const gap = gapText(rule.timezone, wall, change);
  if (!isNamedBy(rule, wall)) return `${gap}.`;
  if (followsRealTime(rule)) return `${gap}; a pattern that matches every hour follows real time, so no slot is lost and none is moved.`;
  const policy = `dst_gap ${rule.dstGap ?? "run_at_gap_end"}`;
  const [moved] = traceLocal(rule, wall).instants;
  return moved === undefined ? `${gap}; by ${policy} its slot does not run.` : `${gap}; by ${policy} its slot runs at ${isoText(moved)}.`;
}

function gapText(timezone: string, wall: WallTime, change: Change): string {
  const [from, to] = [repetitionEnd(change), wallTimeAfter(change)].map(formatWall);
  return `The clocks of ${timezone} never show ${formatWall(wall)}: they go from ${from} to ${to} at ${isoText(change.at)}`;
}
