import { refusingCalendar } from "./calendar.ts";
import { compileCronPattern, nextWallTime } from "./cron-pattern.ts";
import { lastOccurrences } from "./last-occurrences.ts";
import { formatLocal, formatWall } from "./local-time.ts";
import { isDaylightSaving, repetitionEnd, wallTimeAfter } from "./next-cron-occurrence.ts";
import { nextOccurrence, nextUnbounded } from "./next-occurrence.ts";
import type { CronRule, Instant, Rule } from "./rule.ts";
import { showingsOf, wallTimeAt, zoneOf, type WallTime } from "./zone.ts";

/** Why a rule does or does not occur at an instant: the first of these that says no has the last word. */
export interface InstantTrace {
  at: Instant;
  /** What the rule's clocks show then. */
  local: string;
  /** True: the rule occurs at this instant. */
  isOccurrence: boolean;
  verdict: "occurrence" | "no_match" | "dst_gap" | "dst_overlap" | "calendar" | "before_start" | "after_end";
  /** The decision in words, a sentence a step. */
  steps: { step: "pattern" | "zone" | "bounds" | "calendar"; passed: boolean; text: string }[];
  previousAt: Instant | null;
  nextAt: Instant | null;
}

/** Looks back this far for the occurrence before. */
const lookBackMs = 400 * 86_400_000;

/** Traces the rule at `at`, an instant. */
export function traceInstant(rule: Rule, at: Instant): InstantTrace {
  const zone = zoneOf(rule.kind === "cron" ? rule.timezone : "UTC");
  const steps: InstantTrace["steps"] = [];
  const isNamed = nextUnbounded(rule, at - 1) === at;
  let verdict: InstantTrace["verdict"] = "occurrence";
  const step = (name: InstantTrace["steps"][number]["step"], passed: boolean, text: string, otherwise: InstantTrace["verdict"]) => {
    steps.push({ step: name, passed, text });
    if (!passed && verdict === "occurrence") verdict = otherwise;
  };
  if (rule.kind === "cron") traceCron(rule, at, isNamed, step);
  else step("pattern", isNamed, describeFixed(rule, at, isNamed), "no_match");
  const { startsAt, endsAt, calendars = [] } = rule;
  if (startsAt !== undefined) step("bounds", at >= startsAt, `The rule starts at ${iso(startsAt)}.`, "before_start");
  if (endsAt !== undefined) step("bounds", at <= endsAt, `The rule ends at ${iso(endsAt)}.`, "after_end");
  if (calendars.length > 0) {
    const refusing = refusingCalendar(calendars, at);
    const text =
      refusing === null
        ? `Its calendars admit this instant: ${calendars.map(({ name }) => name).join(", ")}.`
        : refusing.kind === "blackout"
          ? `The calendar "${refusing.name}" is a blackout then.`
          : `No allow calendar has this instant: ${calendars
              .filter(({ kind }) => kind === "allow")
              .map(({ name }) => name)
              .join(", ")}.`;
    step("calendar", refusing === null, text, "calendar");
  }
  const [previousAt = null] = lastOccurrences(rule, { from: Math.max(0, at - lookBackMs), to: at, countMax: 1 });
  const isOccurrence = verdict === ("occurrence" as InstantTrace["verdict"]);
  return { at, local: formatLocal(zone, at), isOccurrence, verdict, steps, previousAt, nextAt: nextOccurrence(rule, at) };
}

type Step = (name: "pattern" | "zone", passed: boolean, text: string, otherwise: InstantTrace["verdict"]) => void;

function traceCron(rule: CronRule, at: Instant, isNamed: boolean, step: Step): void {
  const zone = zoneOf(rule.timezone);
  const pattern = compileCronPattern(rule.cronExpression);
  const wall = wallTimeAt(zone, at);
  const shown = `${formatWall(wall)} in ${rule.timezone}`;
  const matches = nextWallTime(pattern, wall - 1) === wall;
  if (!matches && !isNamed) {
    step("pattern", false, `"${rule.cronExpression}" does not match ${shown}.`, "no_match");
    return;
  }
  if (!matches) {
    step("pattern", true, `"${rule.cronExpression}" does not match ${shown}, but a slot that the clocks skip is moved here.`, "no_match");
    step(
      "zone",
      true,
      `The clocks are put forward around then; dst_gap ${rule.dstGap ?? "run_at_gap_end"} moves the slot to this instant.`,
      "dst_gap",
    );
    return;
  }
  step("pattern", true, `"${rule.cronExpression}" matches ${shown}.`, "no_match");
  const showing = showingsOf(zone, wall);
  if (showing.kind !== "twice" || pattern.matchesEveryHour) return;
  const which = at === showing.first ? "first" : "last";
  const policy = rule.dstOverlap ?? "first";
  step(
    "zone",
    isNamed,
    `The clocks show ${formatWall(wall)} twice; this is the ${which} showing, and dst_overlap is ${policy}.`,
    "dst_overlap",
  );
}

function describeFixed(rule: Exclude<Rule, CronRule>, at: Instant, isNamed: boolean): string {
  if (rule.kind === "once") return isNamed ? `It runs once, at ${iso(at)}.` : `It runs once, at ${iso(rule.runAt)}.`;
  const every = `every ${rule.intervalSeconds} s from ${iso(rule.anchorAt)}`;
  return isNamed ? `It runs ${every}, which is at this instant.` : `It runs ${every}, which is not at this instant.`;
}

/** What became of a local time that a rule's clocks show never or twice: where to look instead. */
export interface LocalTrace {
  /** The instants that stand for the local time under the rule's policies, none when it is dropped. */
  instants: Instant[];
  verdict: "shown" | "dst_gap" | "dst_overlap";
  text: string;
}

/** Which instants a wall time of the rule's zone stands for. */
export function traceLocal(rule: Rule, wall: WallTime): LocalTrace {
  const timezone = rule.kind === "cron" ? rule.timezone : "UTC";
  const showing = showingsOf(zoneOf(timezone), wall);
  const shown = formatWall(wall);
  const { dstGap = "run_at_gap_end", dstOverlap = "first" } = rule.kind === "cron" ? rule : {};
  switch (showing.kind) {
    case "once":
      return { instants: [showing.at], verdict: "shown", text: `${shown} in ${timezone} is ${iso(showing.at)}.` };
    case "twice": {
      const instants = { first: [showing.first], last: [showing.last], both: [showing.first, showing.last] }[dstOverlap];
      return {
        instants,
        verdict: "dst_overlap",
        text: `The clocks of ${timezone} show ${shown} twice, at ${iso(showing.first)} and ${iso(showing.last)}; dst_overlap is ${dstOverlap}.`,
      };
    }
    case "never": {
      const { change } = showing;
      const isDropped = dstGap === "skip" || !isDaylightSaving(change);
      const moved = dstGap === "shift" ? wall - change.offsetBeforeMs : change.at;
      const gap = `The clocks of ${timezone} never show ${shown}: they go from ${formatWall(repetitionEnd(change))} to ${formatWall(wallTimeAfter(change))} at ${iso(change.at)}`;
      return {
        instants: isDropped ? [] : [moved],
        verdict: "dst_gap",
        text: isDropped
          ? `${gap}; by dst_gap ${dstGap} the slot does not run.`
          : `${gap}; by dst_gap ${dstGap} the slot runs at ${iso(moved)}.`,
      };
    }
  }
}

function iso(instant: Instant): string {
  return new Date(instant).toISOString();
}
