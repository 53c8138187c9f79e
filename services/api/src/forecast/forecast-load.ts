import { WorkExceededError, WorkLimit } from "@downbeat/timing/count-minutes.ts";
import { type ForecastGroup, type ForecastWindow, groupLoad, type GroupLoad } from "@downbeat/timing/forecast.ts";
import { ruleWithin } from "@downbeat/timing/rule-within.ts";
import { type Instant, type Rule, UnusableRuleError } from "@downbeat/timing/rule.ts";
import { type Spread, spreadFraction, spreadWindowMsMax } from "@downbeat/timing/spread.ts";

/** A live schedule, as far as a forecast asks. */
export interface ForecastSchedule {
  id: string;
  name: string;
  tenantId: string;
  endpointId: string;
  rule: Rule;
  spread: Spread | null;
  /** Nothing of it starts before this instant. */
  pausedUntil: Instant | null;
  /** Its tenant's maintenance; `until` is null while nobody knows. */
  maintenance: { from: Instant; until: Instant | null } | null;
  /** What is left of `max_runs`. Null: no limit. */
  startsLeft: number | null;
}

/** One minute, and who makes it what it is. */
export interface ForecastPeak {
  /** Whole minutes since 1970. */
  minute: number;
  count: number;
  /** How many schedules start in it. */
  schedules: number;
  topSchedules: { id: string; name: string; count: number }[];
  topEndpoints: { id: string; count: number }[];
  topTenants: { id: string; count: number }[];
}

export interface Forecast {
  /** Starts in each minute of the window. */
  minutes: Float64Array;
  peaks: ForecastPeak[];
  /** Schedules that were looked at and not counted: it would have been too much work, or their rule can no longer be evaluated. */
  leftOut: number;
}

export interface ForecastOptions {
  /** Steps of `WorkLimit`, for all and for one group: one odd rule must not use up what the others need. */
  stepsMax: number;
  groupStepsMax: number;
  /** Awaited every few milliseconds of work, so that the process can answer others meanwhile. */
  breathe: () => Promise<void>;
}

/** Minutes, and of each the schedules, endpoints and tenants, that are shown. */
const peaksShown = 20;
const topShown = 5;

/** Groups and schedules between two breaths: some milliseconds' work. */
const groupsOfTurn = 500;
const schedulesOfTurn = 20_000;

const minuteMs = 60_000;

interface Member {
  schedule: ForecastSchedule;
  /** Where in its spread it starts; 0 without one. */
  fraction: number;
}

interface Group {
  rule: Rule;
  spread: Spread | null;
  stretches: ForecastGroup["stretches"];
  startsMax: number | null;
  members: Member[];
}

/** Adds up what schedules start in each minute. Schedules of one rule are one group, which is evaluated once. */
export class ForecastLoad {
  readonly #window: ForecastWindow;
  readonly #from: Instant;
  readonly #to: Instant;
  /** The stretches of every schedule that is neither paused nor in maintenance. */
  readonly #always: ForecastGroup["stretches"];
  readonly #groups = new Map<string, Group>();
  readonly #calendarNumbers = new Map<object, number>();

  constructor(window: ForecastWindow) {
    this.#window = window;
    this.#from = window.fromMinute * minuteMs;
    this.#to = this.#from + window.minutes * minuteMs;
    this.#always = [{ from: this.#from, to: this.#to }];
  }

  add(schedule: ForecastSchedule): void {
    const { spread, startsLeft } = schedule;
    const stretches = this.#stretchesOf(schedule);
    if (stretches.length === 0 || startsLeft === 0) return;
    const rule = this.#ruleOf(schedule, stretches === this.#always);
    if (rule === null) return;
    const { calendars, ...bare } = rule;
    const key = JSON.stringify([
      bare,
      calendars?.map((calendar) => this.#calendarNumber(calendar)),
      spread,
      stretches === this.#always ? null : stretches,
      startsLeft,
      // Which start is its last depends on its own offset.
      spread !== null && startsLeft !== null ? schedule.id : null,
    ]);
    const member = { schedule, fraction: spread === null ? 0 : spreadFraction(schedule.id) };
    const group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, { rule, spread, stretches, startsMax: startsLeft, members: [member] });
    else group.members.push(member);
  }

  async compute({ stepsMax, groupStepsMax, breathe }: ForecastOptions): Promise<Forecast> {
    const work = new WorkLimit(stepsMax);
    const minutes = new Float64Array(this.#window.minutes);
    const computed: ComputedGroup[] = [];
    let leftOut = 0;
    let turn = 0;
    // Should it be too much work, as few schedules as possible are left out. Rules of one expression follow each other: it is compiled once.
    const groups = [...this.#groups].sort(([a, one], [b, other]) => other.members.length - one.members.length || (a < b ? -1 : 1));
    for (const [, group] of groups) {
      turn += 1 / groupsOfTurn + group.members.length / schedulesOfTurn;
      if (turn >= 1) {
        turn = 0;
        await breathe();
      }
      const load = this.#compute(group, new WorkLimit(groupStepsMax, work));
      load?.load.addTo(minutes);
      if (load === null) leftOut += group.members.length;
      else computed.push(load);
    }
    const peaks: ForecastPeak[] = [];
    for (const place of largestPlaces(minutes, peaksShown)) {
      await breathe();
      peaks.push(peakAt(computed, this.#window.fromMinute + place));
    }
    return { minutes, peaks, leftOut };
  }

  /** Null: it cannot be counted. */
  #compute(group: Group, work: WorkLimit): ComputedGroup | null {
    const members = group.spread === null ? group.members : group.members.toSorted((a, b) => a.fraction - b.fraction);
    const fractions = Float64Array.from(members, ({ fraction }) => fraction);
    try {
      return new ComputedGroup(members, groupLoad({ ...group, fractions }, this.#window, work));
    } catch (error) {
      if (error instanceof WorkExceededError || error instanceof UnusableRuleError) return null;
      throw error;
    }
  }

  #ruleOf({ rule, spread }: ForecastSchedule, isAlways: boolean): Rule | null {
    // What occurs before the window may be spread into it, and how far depends on what follows after it.
    if (spread !== null) return ruleWithin(rule, { from: this.#from - spreadWindowMsMax, to: Infinity, precisionMs: 1 });
    return ruleWithin(rule, { from: this.#from, to: this.#to, precisionMs: isAlways ? 1_000 : 1 });
  }

  #stretchesOf({ pausedUntil, maintenance }: ForecastSchedule): ForecastGroup["stretches"] {
    const opensAt = Math.max(this.#from, pausedUntil ?? this.#from);
    const holeFrom = maintenance === null ? this.#to : Math.min(this.#to, maintenance.from);
    const holeUntil = maintenance === null ? this.#to : Math.max(this.#from, maintenance.until ?? this.#to);
    if (opensAt === this.#from && (holeFrom >= this.#to || holeUntil <= this.#from)) return this.#always;
    return [
      { from: opensAt, to: holeFrom },
      { from: Math.max(opensAt, holeUntil), to: this.#to },
    ].filter(({ from, to }) => from < to);
  }

  #calendarNumber(calendar: object): number {
    const known = this.#calendarNumbers.get(calendar) ?? this.#calendarNumbers.size;
    this.#calendarNumbers.set(calendar, known);
    return known;
  }
}

interface Starts {
  schedule: ForecastSchedule;
  count: number;
}

/** A group whose starts are known, and its schedules in the order of their fractions. */
class ComputedGroup {
  readonly load: GroupLoad;
  readonly #members: readonly Member[];
  /** Where all start alike: how many of an endpoint, and the first names. Found when a peak asks. */
  #together: { ofEndpoint: ReadonlyMap<string, Tally>; first: readonly ForecastSchedule[] } | null = null;

  constructor(members: readonly Member[], load: GroupLoad) {
    this.#members = members;
    this.load = load;
  }

  /** Adds what starts in a minute to a peak. */
  addTo(peak: PeakTally, minute: number): void {
    const parts = this.load.membersAt(minute);
    const [part] = parts;
    if (part !== undefined && parts.length === 1 && part.from === 0 && part.to === this.#members.length) {
      const { ofEndpoint, first } = this.#allTogether();
      for (const { tenantId, endpointId, count } of ofEndpoint.values()) peak.add({ tenantId, endpointId, count: count * part.count });
      peak.addSchedules(
        first.map((schedule) => ({ schedule, count: part.count })),
        this.#members.length,
      );
      return;
    }
    const counts = new Map<ForecastSchedule, number>();
    for (const { from, to, count } of parts) {
      for (const { schedule } of this.#members.slice(from, to)) counts.set(schedule, (counts.get(schedule) ?? 0) + count);
    }
    const starts = [...counts].map(([schedule, count]): Starts => ({ schedule, count }));
    for (const { schedule, count } of starts) peak.add({ tenantId: schedule.tenantId, endpointId: schedule.endpointId, count });
    peak.addSchedules(starts, starts.length);
  }

  #allTogether() {
    if (this.#together !== null) return this.#together;
    const ofEndpoint = new Map<string, Tally>();
    for (const { schedule } of this.#members) {
      const { tenantId, endpointId } = schedule;
      const tally = ofEndpoint.get(endpointId) ?? { tenantId, endpointId, count: 0 };
      tally.count += 1;
      ofEndpoint.set(endpointId, tally);
    }
    const first = this.#members.map(({ schedule }) => schedule).sort(byName);
    this.#together = { ofEndpoint, first: first.slice(0, topShown) };
    return this.#together;
  }
}

interface Tally {
  tenantId: string;
  endpointId: string;
  count: number;
}

/** Who makes a peak. */
class PeakTally {
  readonly #minute: number;
  readonly #ofEndpoint = new Map<string, number>();
  readonly #ofTenant = new Map<string, number>();
  #count = 0;
  #schedules = 0;
  #top: Starts[] = [];

  constructor(minute: number) {
    this.#minute = minute;
  }

  add({ tenantId, endpointId, count }: Tally): void {
    this.#count += count;
    this.#ofEndpoint.set(endpointId, (this.#ofEndpoint.get(endpointId) ?? 0) + count);
    this.#ofTenant.set(tenantId, (this.#ofTenant.get(tenantId) ?? 0) + count);
  }

  /** Adds `schedules` schedules; those among them that start most often are in `candidates`. */
  addSchedules(candidates: readonly Starts[], schedules: number): void {
    this.#schedules += schedules;
    this.#top = [...this.#top, ...candidates].sort((a, b) => b.count - a.count || byName(a.schedule, b.schedule)).slice(0, topShown);
  }

  toPeak(): ForecastPeak {
    return {
      minute: this.#minute,
      count: this.#count,
      schedules: this.#schedules,
      topSchedules: this.#top.map(({ schedule, count }) => ({ id: schedule.id, name: schedule.name, count })),
      topEndpoints: top(this.#ofEndpoint),
      topTenants: top(this.#ofTenant),
    };
  }
}

function peakAt(groups: readonly ComputedGroup[], minute: number): ForecastPeak {
  const peak = new PeakTally(minute);
  for (const group of groups) group.addTo(peak, minute);
  return peak.toPeak();
}

function top(counts: ReadonlyMap<string, number>): { id: string; count: number }[] {
  return [...counts]
    .map(([id, count]) => ({ id, count }))
    .sort((a, b) => b.count - a.count || (a.id < b.id ? -1 : 1))
    .slice(0, topShown);
}

function byName(a: ForecastSchedule, b: ForecastSchedule): number {
  if (a.name === b.name) return a.id < b.id ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}

/** The places of the largest counts, largest first and earliest first among equals; none of them empty. */
function largestPlaces(counts: Float64Array, placesMax: number): number[] {
  const places = [...counts.keys()].filter((place) => (counts[place] ?? 0) > 0);
  return places.sort((a, b) => (counts[b] ?? 0) - (counts[a] ?? 0) || a - b).slice(0, placesMax);
}
