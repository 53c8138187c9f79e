/**
 * What a new version of the time zone database means for rules: which occurrences go, which come, and where a rule goes on.
 *
 * `Intl` only knows the version it was built with, so what a former version said of a zone is kept as plain data (`ZoneRecord`) and made into a zone again. Versions are
 * compared where their offsets disagree and nowhere else: most updates change nothing that is near, and a zone without a disagreement needs no rule to be looked at.
 */
import { compileCronPattern } from "./cron-pattern.ts";
import { nextOccurrence } from "./next-occurrence.ts";
import type { Instant, Rule } from "./rule.ts";
import { instantOf, nextClockChange, offsetMsAt, wallTimeAt, zoneOf, type ClockChange, type Zone, type ZoneLookup } from "./zone.ts";

/** What one version of the time zone database says of a zone in `[from, until]`. */
export interface ZoneRecord {
  from: Instant;
  until: Instant;
  /** Offset at `from`. */
  offsetMs: number;
  /** In order; changes in `(from, until]`. */
  changes: readonly ClockChange[];
}

/** A stretch of time, its end not included. */
export interface Span {
  from: Instant;
  to: Instant;
}

const dayMs = 86_400_000;

/** How far around a disagreement its effects can lie: slots of a gap or a repetition fire up to three hours off it, calendars end with a day. */
const effectMs = dayMs;

/**
 * Occurrences that are walked for one rule. Rules of that many within the span are dense and show what they do within its first days; sparse ones, where a difference may take weeks to
 * show, never get there.
 */
const walkedMax = 5_000;

export function recordZone(zone: Zone, from: Instant, until: Instant): ZoneRecord {
  return { from, until, offsetMs: offsetMsAt(zone, from), changes: changesIn(zone, from, until) };
}

/** The zone that a record describes. Before and after the record its clocks never change. */
export function zoneFromRecord(name: string, { offsetMs, changes }: ZoneRecord): Zone {
  const readOffsetMs = (instant: Instant) => changes.findLast(({ at }) => at <= instant)?.offsetAfterMs ?? offsetMs;
  return { name, isUtc: false, readOffsetMs, days: new Map() };
}

/** Where two versions of a zone have different offsets in `[from, until)`. */
export function disagreements(before: Zone, after: Zone, from: Instant, until: Instant): Span[] {
  const edges = [before, after].flatMap((zone) => changesIn(zone, from, until).map(({ at }) => at));
  const starts = [...new Set([from, ...edges])].filter((at) => at < until).sort((a, b) => a - b);
  const spans = starts.map((start, index) => ({ from: start, to: starts[index + 1] ?? until }));
  return joinSpans(spans.filter((span) => offsetMsAt(before, span.from) !== offsetMsAt(after, span.from)));
}

/** Spans in order, those that touch or overlap as one. */
export function joinSpans(spans: readonly Span[]): Span[] {
  const joined: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.from - b.from)) {
    const last = joined.at(-1);
    if (last === undefined || span.from > last.to) joined.push({ ...span });
    else last.to = Math.max(last.to, span.to);
  }
  return joined;
}

export interface FindMovesOptions {
  /** The zones of the former version. */
  before: ZoneLookup;
  /** Where the versions disagree about a zone of the rule or of its calendars. */
  spans: readonly Span[];
  /** Occurrences before `from` are settled, those from `until` on are too far away. */
  from: Instant;
  until: Instant;
  /** How many instants to name of each kind. */
  namedMax: number;
}

/** The first instants at which a rule no longer fires, and at which it fires now. Both empty: nothing moves. */
export interface Moves {
  gone: Instant[];
  come: Instant[];
}

/** Compares what a rule does with both versions of its zones. */
export function findMoves(rule: Rule, { before, spans, from, until, namedMax }: FindMovesOptions): Moves {
  const moves: Moves = { gone: [], come: [] };
  const around = spans.map((span) => ({ from: Math.max(from, span.from - effectMs), to: Math.min(until, span.to + effectMs) }));
  let walked = 0;
  for (const span of joinSpans(around.filter((one) => one.from < one.to))) {
    let was = nextOccurrence(rule, span.from - 1, before);
    let is = nextOccurrence(rule, span.from - 1);
    for (; walked < walkedMax; walked += 1) {
      const at = Math.min(was ?? Infinity, is ?? Infinity);
      if (at >= span.to || (moves.gone.length >= namedMax && moves.come.length >= namedMax)) break;
      if (was !== is) {
        const found = was === at ? moves.gone : moves.come;
        if (found.length < namedMax) found.push(at);
      }
      if (was === at) was = nextOccurrence(rule, at, before);
      if (is === at) is = nextOccurrence(rule, at);
    }
  }
  return moves;
}

/**
 * Where a rule goes on after a new version of its zones, given its watermark: the first occurrence that was not evaluated with the former one. Null when it goes on where it stands, or
 * when nothing follows.
 *
 * A slot keeps its wall time and moves with it: the new watermark is the first occurrence from the watermark's wall time on, so that a slot that was evaluated does not fire a second time
 * at its new instant and one that was not is not lost. A pattern that follows real time has no slots, and goes on with its first occurrence from the watermark on.
 */
export function moveWatermark(rule: Rule, watermark: Instant, before: ZoneLookup): Instant | null {
  const first = nextOccurrence(rule, movedInstant(rule, watermark, before) - 1);
  if (first === null) return null;
  // Where slots move forward, instants from there to the watermark may have had their run already, as those of earlier slots.
  let evaluated = first - 1;
  for (let at = nextOccurrence(rule, evaluated, before); at !== null && at < watermark; at = nextOccurrence(rule, at, before))
    evaluated = at;
  const next = nextOccurrence(rule, evaluated);
  return next === watermark ? null : next;
}

/** When the clocks now show what they would have shown at `instant`. */
function movedInstant(rule: Rule, instant: Instant, before: ZoneLookup): Instant {
  if (rule.kind !== "cron" || compileCronPattern(rule.cronExpression).matchesEveryHour) return instant;
  const zone = before(rule.timezone);
  // An occurrence at the end of a gap may be that of a slot in the gap, and one at a change back that of its second showing: the earlier wall time misses neither.
  const wall = Math.min(wallTimeAt(zone, instant), wallTimeAt(zone, instant - 1) + 1);
  return instantOf(zoneOf(rule.timezone), wall);
}

function changesIn(zone: Zone, from: Instant, until: Instant): ClockChange[] {
  const changes: ClockChange[] = [];
  for (let change = nextClockChange(zone, from, until); change !== null; change = nextClockChange(zone, change.at, until))
    changes.push(change);
  return changes;
}
