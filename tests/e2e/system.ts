import type { QueueClient } from "@downbeat/queue/client.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import type { ReceiverLog } from "./receiver-log.ts";
import type { RestClient } from "./rest-client.ts";

/**
 * A running installation of Downbeat, with what its users and its operators can do to it. Two things are one: processes on this machine (`local-system.ts`) and whatever cluster the
 * context names (`cluster-system.ts`), so that the same guarantees are tested on both.
 */
export interface System {
  /** With an administrator's key. */
  readonly rest: RestClient;
  /** Sees every tenant's rows. For looking. */
  readonly sql: Sql;
  readonly queue: QueueClient;
  readonly queueUrl: string;
  readonly receiver: ReceiverLog;
  /** How long the installation may take to come to rest after the worst that a test does to it, in ms: its leases, its visibility timeout, the minute of its CronJob. */
  readonly settleMsMax: number;
  /** How far ahead its dispatchers claim, in ms (`HORIZON_SECONDS`). */
  readonly horizonMs: number;
  /** The executors that are ready. The ledger's `executor` is one of these names and what tells apart its processes. */
  executors(): Promise<string[]>;
  /** Ends one at once, without a word; whatever keeps up their number starts another. */
  killExecutor(name: string): Promise<void>;
  /** Replaces all executors, a new one before an old one. Resolves when only new ones are left. */
  restartExecutors(): Promise<void>;
  /** Resolves when that many are ready and no other is left. */
  scaleExecutors(count: number): Promise<void>;
  /** What decides how many executors there are, if anything but a person does: then scaling them by hand is of no use. */
  autoscaler(): Promise<string | null>;
  /** Whether a pass with this name was one of the installation's own dispatcher, started for its minute. */
  isOwnDispatcher(dispatcher: string): boolean;
  /** Ends the dispatcher of this minute: at once, or as its Job is deleted, with a signal beforehand. Answers its name, or null where none runs. */
  killDispatcher(how: "crash" | "delete"): Promise<string | null>;
  /** No dispatcher is started any more; one that runs ends with its minute. */
  suspendDispatcher(): Promise<void>;
  resumeDispatcher(): Promise<void>;
  /** Runs the migrations of this version once more. Answers the names of those that were applied. */
  migrate(): Promise<string[]>;
  /** What is to be done before all else when it is closed. */
  onClose(step: () => Promise<unknown>): void;
  /** Removes what this system made, and nothing else. */
  close(): Promise<void>;
}

/** True when the tests are to run on a cluster: `make test-e2e`. */
export const isOnCluster = process.env["DOWNBEAT_E2E"] === "cluster";
