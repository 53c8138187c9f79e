import { countMinutes, type MinuteCounts, type WorkLimit } from "./count-minutes.ts";
import { nextOccurrence } from "./next-occurrence.ts";
import type { Instant, Rule } from "./rule.ts";
import { spreadOffsetMs, spreadWindowMsMax, type Spread } from "./spread.ts";

const minuteMs = 60_000;

/** Finding where one schedule, or one minute's share of them, starts costs about this part of a step. */
const stepsOfOffset = 1 / 50;

/** What is forecast: so many whole minutes from `fromMinute` (whole minutes since 1970) on. */
export interface ForecastWindow {
  fromMinute: number;
  minutes: number;
}

/** Schedules of one rule. */
export interface ForecastGroup {
  rule: Rule;
  spread: Spread | null;
  /** `spreadFraction` of each schedule, ascending. Without a spread, only how many there are matters. */
  fractions: Float64Array;
  /** Starts count within these stretches only, end exclusive, in order: what falls into a pause or into maintenance does not run. */
  stretches: readonly { from: Instant; to: Instant }[];
  /** How often each of them still starts. With a spread, only for a group of one. Null: no limit. */
  startsMax: number | null;
}

/** Schedules `[from, to)` of the group, in the order of `fractions`, start `count` times. */
export interface MemberStarts {
  from: number;
  to: number;
  count: number;
}

/** When the schedules of a group start, to the minute. */
export interface GroupLoad {
  /** Adds the starts of all of them to the minutes of the window. */
  addTo(totals: Float64Array): void;
  /** Which of them start in one minute (since 1970) of the window; one schedule may be in several of the answers. */
  membersAt(minute: number): MemberStarts[];
}

/**
 * What a group puts on each minute. It is evaluated once, however many schedules are in it: those without a spread start together, and of those with one, the sorted fractions say how many
 * start before any instant. In a rule of one occurrence a minute or more, a spread moves starts by less than a minute and is left out of account. Throws as `countMinutes` does.
 */
export function groupLoad(group: ForecastGroup, window: ForecastWindow, work: WorkLimit): GroupLoad {
  const from = window.fromMinute * minuteMs;
  const to = from + window.minutes * minuteMs;
  const stretches = group.stretches
    .map((stretch) => ({ from: Math.max(stretch.from, from), to: Math.min(stretch.to, to) }))
    .filter((stretch) => stretch.from < stretch.to);
  const { spread } = group;
  if (spread === null || isDense(group.rule, { from, to, work })) return new LoadTogether({ ...group, stretches }, window, work);
  return new LoadSpread({ ...group, spread, stretches }, { from, to, window, work });
}

/** True for a rule of one occurrence a minute or more, on average. */
function isDense(rule: Rule, { from, to, work }: { from: Instant; to: Instant; work: WorkLimit }): boolean {
  const { counts } = countMinutes(rule, { from, to, work });
  return counts.reduce((sum, count) => sum + count, 0) >= (to - from) / minuteMs;
}

/** All start at each occurrence. */
class LoadTogether implements GroupLoad {
  readonly #counts: MinuteCounts;
  readonly #members: number;
  readonly #fromMinute: number;

  constructor({ rule, stretches, fractions, startsMax }: ForecastGroup, { fromMinute }: ForecastWindow, work: WorkLimit) {
    const parts = stretches.map(({ from, to }) => countMinutes(rule, { from, to, work }));
    this.#counts = limited(parts.length === 1 && parts[0] !== undefined ? parts[0] : joined(parts), startsMax);
    this.#members = fractions.length;
    this.#fromMinute = fromMinute;
  }

  addTo(totals: Float64Array): void {
    const { minutes, counts } = this.#counts;
    for (let index = 0; index < minutes.length; index += 1) {
      const place = (minutes[index] ?? 0) - this.#fromMinute;
      totals[place] = (totals[place] ?? 0) + (counts[index] ?? 0) * this.#members;
    }
  }

  membersAt(minute: number): MemberStarts[] {
    const { minutes, counts } = this.#counts;
    const index = firstIndex(minutes.length, (place) => (minutes[place] ?? 0) >= minute);
    return minutes[index] === minute ? [{ from: 0, to: this.#members, count: counts[index] ?? 0 }] : [];
  }
}

/** Stretches may meet within a minute. */
function joined(parts: readonly MinuteCounts[]): MinuteCounts {
  const byMinute = new Map<number, number>();
  for (const { minutes, counts } of parts) {
    for (const [index, minute] of minutes.entries()) byMinute.set(minute, (byMinute.get(minute) ?? 0) + (counts[index] ?? 0));
  }
  return { minutes: Uint32Array.from(byMinute.keys()), counts: Uint32Array.from(byMinute.values()) };
}

function limited({ minutes, counts }: MinuteCounts, startsMax: number | null): MinuteCounts {
  if (startsMax === null) return { minutes, counts };
  let left = startsMax;
  const allowed = counts.map((count) => {
    const taken = Math.min(count, left);
    left -= taken;
    return taken;
  });
  const end = firstIndex(allowed.length, (index) => allowed[index] === 0);
  return { minutes: minutes.slice(0, end), counts: allowed.slice(0, end) };
}

interface SpreadWindow {
  from: Instant;
  to: Instant;
  window: ForecastWindow;
  work: WorkLimit;
}

/** Each starts by an offset of its own after each occurrence. */
class LoadSpread implements GroupLoad {
  readonly #group: ForecastGroup & { spread: Spread };
  readonly #fromMinute: number;
  /** Occurrences that may start within the window, ascending, and the time from each to the next. */
  readonly #ats: Instant[] = [];
  readonly #gaps: (number | null)[] = [];

  /** The longest offset. */
  readonly #reachMs: number;

  constructor(group: ForecastGroup & { spread: Spread }, { from, to, window, work }: SpreadWindow) {
    this.#group = group;
    this.#fromMinute = window.fromMinute;
    this.#reachMs = group.spread.kind === "duration" ? Math.min(group.spread.windowMs, spreadWindowMsMax) : spreadWindowMsMax;
    // The last ones before the window may be spread into it.
    for (let at = nextOccurrence(group.rule, from - this.#reachMs - 1); at !== null && at < to;) {
      work.spend(1);
      const next = nextOccurrence(group.rule, at);
      this.#ats.push(at);
      this.#gaps.push(next === null ? null : next - at);
      at = next;
    }
    this.#limit();
    work.spend(this.#ats.length * Math.min(group.fractions.length, this.#reachMs / minuteMs) * stepsOfOffset);
  }

  addTo(totals: Float64Array): void {
    const add = (minute: number, count: number) => {
      const place = minute - this.#fromMinute;
      totals[place] = (totals[place] ?? 0) + count;
    };
    for (const index of this.#ats.keys()) {
      for (const { from, to } of this.#startsOf(index)) {
        const { first, end } = this.#members(index, from, to);
        const minutes = Math.ceil((to - from) / minuteMs) + 1;
        if (end - first <= minutes) {
          for (let member = first; member < end; member += 1) add(Math.floor(this.#dueAt(index, member) / minuteMs), 1);
        } else {
          for (let minute = Math.floor(from / minuteMs); minute * minuteMs < to; minute += 1) {
            const members = this.#members(index, Math.max(from, minute * minuteMs), Math.min(to, (minute + 1) * minuteMs));
            add(minute, members.end - members.first);
          }
        }
      }
    }
  }

  membersAt(minute: number): MemberStarts[] {
    const [minuteFrom, minuteTo] = [minute * minuteMs, (minute + 1) * minuteMs];
    const found: MemberStarts[] = [];
    let index = firstIndex(this.#ats.length, (place) => (this.#ats[place] ?? 0) >= minuteFrom - this.#reachMs);
    for (; index < this.#ats.length && (this.#ats[index] ?? 0) < minuteTo; index += 1) {
      for (const { from, to } of this.#startsOf(index)) {
        const { first, end } = this.#members(index, Math.max(from, minuteFrom), Math.min(to, minuteTo));
        if (first < end) found.push({ from: first, to: end, count: 1 });
      }
    }
    return found;
  }

  /** A single schedule that may start so often only: the rest of its occurrences is dropped. */
  #limit(): void {
    const { startsMax, stretches } = this.#group;
    if (startsMax === null) return;
    let left = startsMax;
    const end = firstIndexInOrder(this.#ats, (_, index) => {
      const dueAt = this.#dueAt(index, 0);
      const starts = stretches.some(({ from, to }) => dueAt >= from && dueAt < to);
      if (starts) left -= 1;
      return left < 0;
    });
    this.#ats.splice(end);
    this.#gaps.splice(end);
  }

  /** The stretches in which schedules start for an occurrence. */
  #startsOf(index: number): { from: Instant; to: Instant }[] {
    const at = this.#ats[index] ?? 0;
    const last = at + spreadOffsetMs(this.#group.spread, 1, this.#gaps[index] ?? null);
    return this.#group.stretches
      .map(({ from, to }) => ({ from: Math.max(from, at), to: Math.min(to, last + 1) }))
      .filter(({ from, to }) => from < to);
  }

  #dueAt(index: number, member: number): Instant {
    const { spread, fractions } = this.#group;
    return (this.#ats[index] ?? 0) + spreadOffsetMs(spread, fractions[member] ?? 0, this.#gaps[index] ?? null);
  }

  /** The schedules that start in `[from, to)` for an occurrence: they stand next to each other, because a larger fraction never starts earlier. */
  #members(index: number, from: Instant, to: Instant): { first: number; end: number } {
    const { length } = this.#group.fractions;
    return {
      first: firstIndex(length, (member) => this.#dueAt(index, member) >= from),
      end: firstIndex(length, (member) => this.#dueAt(index, member) >= to),
    };
  }
}

/** The first index from 0 on at which `holds`, which holds from there to the end; `length` where it never does. */
function firstIndex(length: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function firstIndexInOrder<Item>(items: readonly Item[], holds: (item: Item, index: number) => boolean): number {
  const index = items.findIndex(holds);
  return index === -1 ? items.length : index;
}
