import type { Sql, TransactionSql } from "./connect.ts";
import { retryLostRace } from "./transient.ts";

/**
 * Runs `body` in a transaction: committed when it returns, rolled back when it throws, run again when it was a deadlock's victim. So `body` does nothing but
 * statements, and may run more than once.
 *
 * Use this and not `sql.begin`: when the connection breaks in the middle, postgres.js 3.4.9 still sends its `rollback`, on a socket that is no more. That throws outside of
 * every promise, where it ends the process, and leaves the pool's connection unable to dial. Here a body that lost its connection never settles, so no `rollback` is sent;
 * `begin` itself rejects as soon as the connection is closed.
 */
export function inTransaction<Result>(sql: Sql, body: (transaction: TransactionSql) => Promise<Result>): Promise<Result> {
  return retryLostRace(() => sql.begin((transaction) => unlessConnectionLost(body(transaction))) as Promise<Result>);
}

async function unlessConnectionLost<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (isConnectionLost(error)) return new Promise<never>(() => {});
    throw error;
  }
}

/** The server closes the connection after a FATAL error; the other two are what postgres.js and Node call a broken socket. */
function isConnectionLost(error: unknown): boolean {
  const { severity, code, syscall } = error as { severity?: unknown; code?: unknown; syscall?: unknown };
  return (
    severity === "FATAL" ||
    severity === "PANIC" ||
    (typeof code === "string" && code.startsWith("CONNECTION_")) ||
    typeof syscall === "string"
  );
}
