import type { Clock } from "@downbeat/runtime/clock.ts";
import { describeError } from "@downbeat/runtime/log.ts";
import type { ApiClient, Query } from "./api-client.ts";
import { ApiError } from "./api-client.ts";
import type { Run } from "./api-answers.ts";

/** How far back a look goes: deeper than what fires, and finishes late, in the seconds between two looks. */
const runsPerLook = 200;

export interface WatchRunsOptions {
  api: ApiClient;
  query: Query;
  clock: Pick<Clock, "now">;
  onRun(run: Run): void;
  /** Called when the API stops answering and when it answers again. */
  onRemark(line: string): void;
}

/**
 * Tells of every run that is new or has changed since the last look, oldest first. The first look tells of the newest `first` only: what came before is history.
 */
export class RunWatcher {
  readonly #options: WatchRunsOptions;
  #seen = new Map<string, string>();
  #isFirst = true;
  #isDown = false;

  constructor(options: WatchRunsOptions) {
    this.#options = options;
  }

  /** One look. Throws when the API refuses (a wrong key stays wrong); an API that cannot be reached is waited for. */
  async look(first: number): Promise<void> {
    const { api, query, clock, onRun, onRemark } = this.#options;
    // Dispatchers claim ahead of time; what has yet to become due is not news.
    const until = new Date(clock.now()).toISOString();
    let runs: Run[];
    try {
      ({ items: runs } = await api.get<{ items: Run[] }>("/api/v1/runs", { ...query, until, limit: runsPerLook }));
    } catch (error) {
      if (this.#isFirst || (error instanceof ApiError && error.problem.status < 500)) throw error;
      if (!this.#isDown) onRemark(`waiting: ${describeError(error)}`);
      this.#isDown = true;
      return;
    }
    if (this.#isDown) onRemark("the API answers again");
    this.#isDown = false;
    const told = this.#isFirst ? runs.slice(0, first) : runs.filter((run) => this.#seen.get(run.id) !== fingerprint(run));
    for (const run of told.reverse()) onRun(run);
    this.#seen = new Map(runs.map((run) => [run.id, fingerprint(run)]));
    this.#isFirst = false;
  }
}

function fingerprint({ state, attempt, reason, http_status: httpStatus }: Run): string {
  return [state, attempt, reason, httpStatus].join(" ");
}
