import { countOccurrences } from "@downbeat/timing/count-occurrences.ts";
import { dueLimits, type Misfire, occurrenceAt, type Timing } from "@downbeat/timing/plan-due.ts";
import type { Occurrence } from "@downbeat/timing/spread.ts";

/** How many occurrences of a pause are made up for under each policy, the newest. */
export const replayedMax: Readonly<Record<Misfire, number>> = { skip: 0, latest: 1, all: dueLimits.catchupMax };

export interface PauseStretch {
  timing: Timing;
  /** The first occurrence that fell into the pause. */
  first: Occurrence;
  /** The first occurrence that had not been claimed when the schedule was paused, or null when none was left. */
  unclaimed: number | null;
  /** The end of the pause, exclusive; ms since 1970. */
  endAt: number;
  onResume: Misfire;
}

/**
 * Where evaluation goes on when a pause is over. What had been claimed ahead of the pause was canceled by it, and each of those occurrences has its row: they must not be counted in
 * the skipped stretch once more. So the stretch begins behind them, unless all that fell into the pause is made up for, or nothing but them did; a row that is there already is left
 * alone when it is written again.
 */
export function pauseWatermark({ timing, first, unclaimed, endAt, onResume }: PauseStretch): Occurrence {
  const count = countOccurrences(timing.rule, first.at, endAt);
  if (count <= replayedMax[onResume] || unclaimed === null || unclaimed >= endAt || unclaimed <= first.at) return first;
  return occurrenceAt(timing, unclaimed);
}
