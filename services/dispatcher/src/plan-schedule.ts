import type { ClaimedRun, ClaimedStretch, Watermark } from "@downbeat/store/insert-claimed.ts";
import type { DueSchedule } from "@downbeat/store/lock-due.ts";
import type { GateRow } from "@downbeat/store/read-gates.ts";
import { runId } from "@downbeat/store/run-id.ts";
import type { RunReason } from "@downbeat/store/run-states.ts";
import { type CalendarsById, noCalendars, toTiming } from "@downbeat/store/stored-timing.ts";
import { passGate, type Gate } from "@downbeat/timing/pass-gate.ts";
import { dueLimits, occurrenceAt, planDropped, planDue, type Stretch, type Timing } from "@downbeat/timing/plan-due.ts";
import type { Occurrence } from "@downbeat/timing/spread.ts";

/** What the database says about the schedules besides their rules, asked only for those it can matter for. */
export interface ClaimState {
  calendars: CalendarsById;
  /** Gates by schedule id. */
  gates: ReadonlyMap<string, GateRow>;
  /** Runs left for the day, by tenant, of tenants with a limit. */
  budgets: ReadonlyMap<string, number>;
}

export const emptyClaimState: ClaimState = { calendars: noCalendars, gates: new Map(), budgets: new Map() };

/** A stretch is counted and not walked; finding its ends costs about as much as this many occurrences, and each of its days as much as two. */
const evaluationsOfStretch = 100;
const evaluationsOfDay = 2;

/** A late occurrence that runs after all is looked for backwards, and asked about what is under way: as much as this many others. */
const evaluationsOfLate = 5;

/** A schedule that is put off is looked at again this long after it would otherwise be claimed. */
const putOffMs = 5_000;

/** Under maintenance all schedules of a tenant are put off, so they are looked at less often. Whoever ends the maintenance has them looked at at once. */
const maintenanceLookMs = 60_000;

/** What a claim writes of one schedule. */
export interface PlannedSchedule {
  runs: ClaimedRun[];
  stretches: ClaimedStretch[];
  watermark: Watermark;
  isResumed: boolean;
  isUsedUp: boolean;
  /** How much work it was, in occurrences evaluated. */
  evaluations: number;
}

export interface PlannerOptions {
  horizonMs: number;
  state: ClaimState;
  /** Runs planned so far for tenants with a daily limit; planning adds to it. */
  spent: Map<string, number>;
  /** Occurrences planned at once at most. */
  occurrencesMax: number;
}

/** Plans one schedule: walks its watermark through a pause that ended, maintenance, what is late and what is to come, and then asks overlap and limits. */
export class SchedulePlanner {
  readonly #schedule: DueSchedule;
  readonly #options: PlannerOptions;
  readonly #timing: Timing;
  #stretches: ClaimedStretch[] = [];
  #due: Occurrence[] = [];
  #next: Occurrence | null;
  /** How much work this was, in occurrences. */
  #evaluations = 0;

  constructor(schedule: DueSchedule, options: PlannerOptions) {
    this.#schedule = schedule;
    this.#options = options;
    this.#timing = toTiming(schedule.scheduleId, schedule, options.state.calendars);
    this.#next = { at: schedule.nextRunAt, dueAt: schedule.nextRunAt };
  }

  plan(): PlannedSchedule {
    const { nowAt, maintenanceFrom, maintenanceUntil } = this.#schedule;
    const isResumed = this.#endPause();
    this.#planUntil(maintenanceFrom ?? Infinity);
    const isOver = maintenanceUntil !== null && maintenanceUntil <= nowAt + this.#options.horizonMs;
    // Where there was more before the maintenance than is planned at once, the rest comes first.
    if (maintenanceFrom !== null && isOver && this.#next !== null && this.#next.dueAt >= maintenanceFrom) {
      this.#drop(maintenanceUntil, 0, "maintenance");
      this.#planUntil(Infinity);
    }
    this.#applyOverlap();
    const { allowed, isUsedUp } = this.#applyMaxRuns();
    this.#applyBudget();
    const next = isUsedUp ? null : (allowed ?? this.#watermark());
    const { tenantId, scheduleId } = this.#schedule;
    const retryUntil = this.#retryUntil();
    const runs = this.#due.map((occurrence, index) =>
      toRun(this.#schedule, occurrence, this.#spreadMsOf(occurrence), retryUntil[index] ?? null),
    );
    const watermark = { tenantId, scheduleId, next };
    return { runs, stretches: this.#stretches, watermark, isResumed, isUsedUp, evaluations: this.#evaluations };
  }

  /** What fell into a pause that ended by itself is dropped or made up for, as the schedule's `on_resume` says. */
  #endPause(): boolean {
    const { pausedAt, pausedUntil, onResume } = this.#schedule;
    if (pausedAt === null || pausedUntil === null) return false;
    this.#drop(pausedUntil, { skip: 0, latest: 1, all: dueLimits.catchupMax }[onResume], "paused");
    return true;
  }

  #drop(untilAt: number, keptMax: number, reason: RunReason): void {
    if (this.#next === null || this.#next.at >= untilAt) return;
    const { due, dropped, next } = planDropped({
      timing: this.#timing,
      fromAt: this.#next.at,
      untilAt,
      keptMax,
      // A pause is ended a little ahead of its time, and what it kept back starts when it is over.
      nowAt: Math.max(this.#schedule.nowAt, untilAt),
    });
    if (dropped !== null) this.#addStretch({ ...dropped, reason }, "skipped", null);
    this.#settle(due, dropped === null ? [] : [dropped], next);
  }

  /** Plans what is due before the horizon and before `endAt`. */
  #planUntil(endAt: number): void {
    if (this.#next === null || this.#next.at >= endAt) return;
    const { nowAt } = this.#schedule;
    const lateAt = Math.min(nowAt, endAt);
    const { due, missed, next } = planDue({
      timing: this.#timing,
      fromAt: this.#next.at,
      nowAt: lateAt,
      untilAt: Math.min(nowAt + this.#options.horizonMs, endAt),
      ...dueLimits,
      occurrencesMax: Math.min(dueLimits.occurrencesMax, this.#options.occurrencesMax),
    });
    for (const stretch of missed) this.#addStretch(stretch, "missed", null);
    // What is made up for starts now. Due when a maintenance began that is over, it would be skipped by whoever leases it.
    const isMadeUpFor = ({ dueAt }: Occurrence) => lateAt < nowAt && dueAt === Math.floor(lateAt);
    const starting = due.map((occurrence) => (isMadeUpFor(occurrence) ? { ...occurrence, dueAt: Math.floor(nowAt) } : occurrence));
    this.#settle(starting, missed, next);
  }

  #settle(due: readonly Occurrence[], stretches: readonly { from: number; to: number }[], next: Occurrence | null): void {
    this.#due.push(...due);
    this.#next = next;
    const { nowAt } = this.#schedule;
    for (const { dueAt } of due) this.#evaluations += dueAt > nowAt ? 1 : evaluationsOfLate;
    for (const { from, to } of stretches) this.#evaluations += evaluationsOfStretch + (evaluationsOfDay * (to - from)) / 86_400_000;
  }

  /**
   * Of what is due already, decides which may run while others of the schedule are under way: all of it is to start now, in order. What is still to come is decided about at
   * its instant, by the executor that leases it, because only then is it known what is under way.
   */
  #applyOverlap(): void {
    const { overlap, maxInstances, scheduleId, nowAt } = this.#schedule;
    const state = this.#options.state.gates.get(scheduleId);
    let gate: Gate = { holders: state?.holders ?? [], waiting: state?.waiting ?? [] };
    const kept: Occurrence[] = [];
    const skipped: { occurrence: Occurrence; heldBy: string }[] = [];
    for (const occurrence of this.#due) {
      if (occurrence.dueAt > nowAt) {
        kept.push(occurrence);
        continue;
      }
      const id = runId(scheduleId, occurrence.at);
      const passed = passGate(gate, { overlap, instancesMax: maxInstances }, id);
      gate = passed.gate;
      if (passed.verdict.verdict === "skipped") {
        skipped.push({ occurrence, heldBy: passed.verdict.heldBy });
        continue;
      }
      // One that nobody has started yet is not canceled but never begun.
      const replaced = passed.verdict.verdict === "admitted" ? passed.verdict.replaced : [];
      const earlier = kept.at(-1);
      if (earlier !== undefined && replaced.includes(runId(scheduleId, earlier.at))) {
        skipped.push({ occurrence: earlier, heldBy: id });
        kept.pop();
      }
      kept.push(occurrence);
    }
    this.#due = kept;
    for (const { occurrence, heldBy } of skipped) this.#skip(occurrence, "overlap", heldBy);
  }

  /**
   * A limit of runs counts those that started, so what is claimed ahead only may count. As many are claimed as the limit leaves; then the schedule is put off until it is known how
   * they went: it is used up, or has some left.
   */
  #applyMaxRuns(): { allowed?: Watermark["next"]; isUsedUp: boolean } {
    const { maxRuns, scheduleId, nowAt } = this.#schedule;
    if (maxRuns === null) return { isUsedUp: false };
    const { started = 0, outstanding = 0 } = this.#options.state.gates.get(scheduleId) ?? {};
    if (started >= maxRuns) {
      this.#due = [];
      this.#stretches = [];
      return { isUsedUp: true };
    }
    const left = Math.max(0, maxRuns - started - outstanding);
    const lookAt = nowAt + this.#options.horizonMs + putOffMs;
    const over = this.#due[left];
    if (over === undefined) {
      // The last ones it may have are on their way: it is looked at again before its next occurrence, to be completed as soon as they have started.
      const isLast = this.#next !== null && this.#due.length === left;
      return { isUsedUp: false, ...(isLast ? { allowed: this.#watermark(lookAt) } : {}) };
    }
    this.#due = this.#due.filter(({ at }) => at < over.at);
    this.#stretches = this.#stretches.filter(({ scheduledFor }) => scheduledFor < over.at);
    return { allowed: { scheduledFor: over.at, dueAt: Math.max(over.dueAt, lookAt) }, isUsedUp: false };
  }

  #applyBudget(): void {
    const { tenantId, runsPerDayMax } = this.#schedule;
    if (runsPerDayMax === null) return;
    const { budgets } = this.#options.state;
    const left = Math.max(0, (budgets.get(tenantId) ?? runsPerDayMax) - (this.#options.spent.get(tenantId) ?? 0));
    const over = this.#due.slice(left);
    this.#due = this.#due.slice(0, left);
    for (const occurrence of over) this.#skip(occurrence, "budget", null);
    this.#options.spent.set(tenantId, (this.#options.spent.get(tenantId) ?? 0) + this.#due.length);
  }

  /** The first occurrence that is not decided about, to be looked at by `lookAt` at the latest; under maintenance, when that may be over. */
  #watermark(lookAt = Infinity): Watermark["next"] {
    if (this.#next === null) return null;
    const { at, dueAt } = this.#next;
    const { maintenanceFrom, maintenanceUntil, nowAt } = this.#schedule;
    const isHeld = maintenanceFrom !== null && dueAt >= maintenanceFrom && dueAt < (maintenanceUntil ?? Infinity);
    if (!isHeld) return { scheduledFor: at, dueAt: Math.min(dueAt, lookAt) };
    const later = nowAt + this.#options.horizonMs + maintenanceLookMs;
    return { scheduledFor: at, dueAt: Math.max(dueAt, Math.min(maintenanceUntil ?? later, later)) };
  }

  /** Neighbours with one reason are one row. */
  #skip({ at }: Occurrence, reason: RunReason, blockedBy: string | null): void {
    const last = this.#stretches.at(-1);
    if (last?.state === "skipped" && last.reason === reason && last.blockedBy === blockedBy && this.#isNeighbour(last.scheduledFor, at)) {
      this.#stretches.pop();
      const { rangeFrom, rangeCount } = last;
      this.#addStretch({ from: rangeFrom, to: at, count: rangeCount + 1, reason }, "skipped", blockedBy);
    } else this.#addStretch({ from: at, to: at, count: 1, reason }, "skipped", blockedBy);
  }

  /** True when nothing that runs, and no other stretch, lies between the two. */
  #isNeighbour(earlier: number, later: number): boolean {
    const isBetween = (at: number) => at > earlier && at < later;
    return !this.#due.some(({ at }) => isBetween(at)) && !this.#stretches.some(({ scheduledFor }) => isBetween(scheduledFor));
  }

  #addStretch({ from, to, count, reason }: Stretch<RunReason>, state: "missed" | "skipped", blockedBy: string | null): void {
    this.#stretches.push({ ...toOccurrence(this.#schedule, to), state, reason, rangeFrom: from, rangeCount: count, blockedBy });
  }

  /** Null for one that is made up for: it starts when it starts, spread or not. */
  #spreadMsOf({ at, dueAt }: Occurrence): number | null {
    return this.#timing.spread === null || dueAt !== occurrenceAt(this.#timing, at).dueAt ? null : dueAt - at;
  }

  /** For each occurrence that runs, when the first one that starts later than it, and is still to come, starts. One walk from the end, for thousands may start at once. */
  #retryUntil(): (number | null)[] {
    const { nowAt } = this.#schedule;
    let startAt = this.#next === null ? Infinity : Math.max(this.#next.dueAt, nowAt);
    let laterAt: number | null = null;
    const answer = this.#due.map((): number | null => null);
    for (let index = this.#due.length - 1; index >= 0; index -= 1) {
      const ownAt = Math.max(this.#due[index]?.dueAt ?? nowAt, nowAt);
      if (ownAt < startAt) {
        laterAt = startAt === Infinity ? null : startAt;
        startAt = ownAt;
      }
      answer[index] = laterAt;
    }
    return answer;
  }
}

function toOccurrence({ tenantId, scheduleId, revision }: DueSchedule, scheduledFor: number) {
  return { tenantId, runId: runId(scheduleId, scheduledFor), scheduleId, scheduleRevision: revision, scheduledFor };
}

export function toRun(schedule: DueSchedule, { at, dueAt }: Occurrence, spreadMs: number | null, retryUntil: number | null): ClaimedRun {
  return { ...toOccurrence(schedule, at), dueAt, spreadMs, retryUntil };
}
