import postgres from "postgres";
import { arrayParameters } from "./array-parameters.ts";

/** A pool of connections. Hot-path statements are written against it by hand; the API wraps it with kysely (decision 0001). */
export type Sql = postgres.Sql<{}>;

/** A connection inside a transaction. */
export type TransactionSql = postgres.TransactionSql<{}>;

/** The role a process takes on. Its grants are all the process can do, whatever login it connected with (rule K7). */
export type DatabaseRole = "downbeat_api" | "downbeat_dispatcher" | "downbeat_executor" | "downbeat_migrator";

export interface ConnectOptions {
  /** `postgres://user:password@host:port/database`. */
  url: string;
  /** Taken on by every connection. Absent only for `downbeat migrate`, which creates the roles first. */
  role?: DatabaseRole;
  connectionsMax: number;
  /** Shown in pg_stat_activity. */
  applicationName: string;
}

/**
 * The workers' statements look rows up by key, a batch at a time, in partitions that are empty at midnight and hold millions at noon. Planned from yesterday's statistics, such a
 * join now and then becomes a scan of the whole day (measured: 20 ms in place of 1 for a lease of 50 runs). Leaving only index look-ups to choose from makes the plan the same at
 * any size (decision 0004). Written as text, because postgres.js leaves out parameters that are `false`.
 */
const keyedPlans = { enable_hashjoin: "off", enable_mergejoin: "off", enable_seqscan: "off", enable_bitmapscan: "off" };

export function connect(options: ConnectOptions): Sql {
  const { url, role, connectionsMax, applicationName } = options;
  const isWorker = role === "downbeat_dispatcher" || role === "downbeat_executor";
  return postgres(url, {
    max: connectionsMax,
    connect_timeout: 5,
    // Not where connections are reserved (migrations, kysely): without that query postgres.js never hands a fresh reserved connection over.
    ...(isWorker ? { fetch_types: false, types: arrayParameters } : {}),
    // The pool's own reconnect wait. The callers back off themselves, so it only has to keep a dead server from being dialled in a tight loop.
    backoff: () => 0.2,
    // Schema notices ("already exists, skipping") say nothing to anybody.
    onnotice: () => {},
    connection: {
      application_name: applicationName,
      ...(role === undefined ? {} : { role }),
      ...(isWorker ? keyedPlans : {}),
      // A statement that outlives every lease helps nobody; a transaction left open would hold locks against the other dispatchers.
      statement_timeout: 60_000,
      idle_in_transaction_session_timeout: 60_000,
    },
  });
}
