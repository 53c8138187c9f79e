import type { TransactionSql } from "./connect.ts";
import type { TurnKey } from "./take-turn.ts";

/** The turn went to another dispatcher meanwhile, because this one was silent for too long. What the step did must not be written: the other one does it again. */
export class LostTurnError extends Error {
  override readonly name = "LostTurnError";
}

export interface SaveTurnOptions<Progress> {
  key: TurnKey;
  holder: string;
  /** Kept as JSON. */
  progress: Progress;
  /** True ends the round; the turn is free. */
  isFinished: boolean;
}

/**
 * Saves how far a step has come, in the transaction that writes what it did, first of all: whoever lost the turn writes nothing. Throws `LostTurnError` then.
 *
 * Index: primary key. Locks: the one row, until the transaction ends.
 */
export async function saveTurn<Progress>(sql: TransactionSql, options: SaveTurnOptions<Progress>): Promise<void> {
  const { key, holder, progress, isFinished } = options;
  const kept = await sql`
    update downbeat.system_state
    set updated_at = now(),
      value = value || jsonb_build_object('progress', ${JSON.stringify(progress)}::text::jsonb)
        || case when ${isFinished ? "finished" : ""}::text = 'finished'
          then jsonb_build_object('holder', null, 'finishedAt', (extract(epoch from now()) * 1000)::float8) else '{}'::jsonb end
    where key = ${key} and value->>'holder' = ${holder}
    returning key`;
  if (kept.length === 0) throw new LostTurnError(`${key} is another dispatcher's turn now`);
}
