import { keepTrying, Outage, StoppedError } from "@downbeat/runtime/back-off.ts";
import { systemClock } from "@downbeat/runtime/clock.ts";
import { createLog, describeError } from "@downbeat/runtime/log.ts";
import { systemRandom } from "@downbeat/runtime/random.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { isTransientDatabaseError } from "@downbeat/store/transient.ts";
import type { Cli } from "./cli.ts";
import { Failure } from "./failure.ts";

/** A server that comes up is noticed this soon, where services spare one that is down for longer. */
const delayMsMax = 5_000;

/**
 * Resolves when Postgres answers a query. A server that refuses connections, is starting up or whose name is not in DNS yet is asked again, with one remark for each try, until
 * `waitSeconds` are over: a `Failure`. What waiting does not mend (a wrong password, a database that does not exist) is thrown at once.
 */
export async function waitForPostgres(cli: Cli, sql: Sql, waitSeconds: number): Promise<void> {
  const outage = new Outage();
  const giveUp = new AbortController();
  // Whichever comes first ends the other: a timer left behind would keep the command from ending.
  const answered = new AbortController();
  void systemClock.sleep(waitSeconds * 1_000, answered.signal).then(() => giveUp.abort());
  try {
    await keepTrying(() => sql`select 1`, {
      action: "reach Postgres",
      clock: systemClock,
      random: systemRandom,
      log: createLog("cli", "info", { write: (line) => cli.remark(asRemark(line)) }),
      signal: giveUp.signal,
      isTransient: isTransientDatabaseError,
      delayMsMax,
      outage,
    });
  } catch (error) {
    if (!(error instanceof StoppedError)) throw error;
    const failure = error.cause ?? outage.lastFailure;
    throw new Failure(`Postgres did not answer within ${waitSeconds} s, the last time: ${describeError(failure)}`, { cause: failure });
  } finally {
    answered.abort();
  }
}

/** What the services log as JSON, as a line for people. */
function asRemark(line: string): string {
  const { msg, retryInMs } = JSON.parse(line) as { msg: string; retryInMs?: number };
  return retryInMs === undefined ? msg : `${msg}; trying again in ${(retryInMs / 1_000).toFixed(1)} s`;
}
