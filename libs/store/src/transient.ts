import { describeSchemaBehind } from "./schema-behind.ts";

/**
 * Whether waiting can mend a database error: the server is away, starting, out of connections, not migrated to this version yet, or chose this transaction as a victim.
 * Everything else (a wrong statement, a refused permission) is a bug or a misconfiguration, and repeating it would only hide it.
 */
export function isTransientDatabaseError(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== "string") return false;
  return (
    transientNetworkCodes.has(code) ||
    transientSqlStates.has(code) ||
    transientSqlClasses.has(code.slice(0, 2)) ||
    describeSchemaBehind(error) !== undefined
  );
}

/** Repeats `act`, up to three times, when it was the victim of a deadlock or a serialization failure: nothing was written, and going again at once is right (F8). */
export async function retryLostRace<Result>(act: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await act();
    } catch (error) {
      const code = (error as { code?: unknown } | null)?.code;
      if (tries >= 3 || (code !== "40P01" && code !== "40001")) throw error;
    }
  }
}

const transientNetworkCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  // postgres.js's own names.
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "CONNECTION_DESTROYED",
  "CONNECT_TIMEOUT",
]);

const transientSqlStates = new Set([
  "40001", // serialization_failure
  "40P01", // deadlock_detected
  "57P01", // admin_shutdown
  "57P02", // crash_shutdown
  "57P03", // cannot_connect_now
  "57P05", // idle_session_timeout
  "57014", // query_canceled, by statement_timeout
  "25006", // read_only_sql_transaction: a standby that has not been promoted yet
  "25P03", // idle_in_transaction_session_timeout
]);

/** 08: connection exceptions; 53: insufficient resources (disk, memory, connections). */
const transientSqlClasses = new Set(["08", "53"]);
