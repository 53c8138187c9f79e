import type { Clock } from "@downbeat/runtime/clock.ts";
import { describeError } from "@downbeat/runtime/log.ts";
import { type ApiClient, ApiError } from "./api-client.ts";
import type { Backfill } from "./api-answers.ts";
import { describeProgress } from "./describe-backfill.ts";
import { formatDuration } from "./format-instant.ts";

export interface WatchBackfillOptions {
  api: ApiClient;
  backfillId: string;
  clock: Pick<Clock, "monotonic">;
  /** Called after each look with the line of progress. */
  onProgress(line: string, backfill: Backfill): void;
  /** Called when the API stops answering and when it answers again. */
  onRemark(line: string): void;
}

const barWidth = 20;

/** Looks at a backfill again and again until its last run has ended. */
export class BackfillWatcher {
  readonly #options: WatchBackfillOptions;
  #isFirst = true;
  #isDown = false;
  #first: { done: number; atMs: number } | undefined;

  constructor(options: WatchBackfillOptions) {
    this.#options = options;
  }

  /** One look; answers the backfill when it is finished. Throws when the API refuses; an API that cannot be reached is waited for. */
  async look(): Promise<Backfill | undefined> {
    const { api, backfillId, onProgress, onRemark } = this.#options;
    let backfill: Backfill;
    try {
      backfill = await api.get<Backfill>(`/api/v1/backfills/${encodeURIComponent(backfillId)}`);
    } catch (error) {
      if (this.#isFirst || (error instanceof ApiError && error.problem.status < 500)) throw error;
      if (!this.#isDown) onRemark(`waiting: ${describeError(error)}`);
      this.#isDown = true;
      return undefined;
    }
    if (this.#isDown) onRemark("the API answers again");
    this.#isDown = false;
    this.#isFirst = false;
    onProgress(`${bar(backfill)} ${describeProgress(backfill)}${this.#remaining(backfill)}`, backfill);
    return backfill.finished_at === null ? undefined : backfill;
  }

  /** At the pace since the first look. */
  #remaining(backfill: Backfill): string {
    const { clock } = this.#options;
    this.#first ??= { done: doneOf(backfill), atMs: clock.monotonic() };
    const done = doneOf(backfill) - this.#first.done;
    const left = backfill.planned - doneOf(backfill);
    if (backfill.state !== "running" || done === 0 || left <= 0) return "";
    return `, about ${formatDuration(((clock.monotonic() - this.#first.atMs) / done) * left)} left`;
  }
}

/** From 0 to 1. Occurrences that succeeded by other means are never fed, and some that were not planned may be: a completed backfill is full all the same. */
export function shareDone(backfill: Backfill): number {
  if (backfill.state === "completed" || backfill.planned === 0) return 1;
  return Math.min(1, doneOf(backfill) / backfill.planned);
}

function doneOf({ succeeded, failed, canceled }: Backfill): number {
  return succeeded + failed + canceled;
}

function bar(backfill: Backfill): string {
  const full = Math.floor(shareDone(backfill) * barWidth);
  return `[${"#".repeat(full)}${".".repeat(barWidth - full)}]`;
}
