import type { Sql } from "./connect.ts";

/**
 * Work on the whole installation that dispatchers share: it is done in rounds, a round in steps, and one dispatcher at a time does a step. A row of `system_state` says who is at it,
 * since when the round goes on and how far it has come, so that whoever comes next goes on where the last one stopped.
 */
export const turnKeys = ["audit", "tzdata"] as const;
export type TurnKey = (typeof turnKeys)[number];

/** A dispatcher that has not said anything of its turn for this long has died; the next one goes on. Longer than any step takes. */
const silenceMsMax = 60_000;

/** A dispatcher whose subject is older than the one of the last round waits this long: while a new version is rolled out both are there, and the newer one decides. */
const olderSubjectWaitMs = 3_600_000;

export interface TakeTurnOptions {
  key: TurnKey;
  /** Names this process. */
  holder: string;
  /** What a round is about, in an order of its own: another subject is another round, and due at once when it is a later one. */
  subject: string;
  /** A round is due this long after the last one began. */
  everyMs: number;
}

export interface Turn<Progress> {
  /** When the round began, in ms since 1970. */
  startedAt: number;
  /** The database's clock. */
  nowAt: number;
  /** What the last step left. Null: the round begins. */
  progress: Progress | null;
}

/**
 * Takes the turn, where a round is under way or due and nobody else is at it; else null. Whoever takes it must save what a step did (`saveTurn`), which also keeps the turn.
 *
 * Index: primary key. Locks: the one row, for the length of the statement.
 */
export async function takeTurn<Progress>(sql: Sql, options: TakeTurnOptions): Promise<Turn<Progress> | null> {
  const { key, holder, subject, everyMs } = options;
  const [turn] = await sql<Turn<Progress>[]>`
    insert into downbeat.system_state as state (key, value)
    values (${key}, jsonb_build_object('holder', ${holder}::text, 'subject', ${subject}::text, 'startedAt', ${nowMs(sql)}, 'finishedAt', null, 'progress', null))
    on conflict (key) do update
      set updated_at = now(),
        value = case when ${isUnderWay(sql, subject)} then state.value || jsonb_build_object('holder', ${holder}::text) else excluded.value end
      where (coalesce(state.value->>'holder', ${holder}) = ${holder} or state.updated_at < now() - ${silenceMsMax}::float8 * interval '1 millisecond')
        and (${isUnderWay(sql, subject)}
          or ${nowMs(sql)} - (state.value->>'startedAt')::float8 >= case
            when state.value->>'subject' = ${subject} then ${everyMs}::float8
            when state.value->>'subject' < ${subject}::text collate "C" then 0
            else ${olderSubjectWaitMs}::float8
          end)
    returning (value->>'startedAt')::float8 as "startedAt", ${nowMs(sql)} as "nowAt", value->'progress' as progress`;
  return turn ?? null;
}

function isUnderWay(sql: Sql, subject: string) {
  return sql`(state.value->>'finishedAt' is null and state.value->>'subject' = ${subject})`;
}

function nowMs(sql: Sql) {
  return sql`(extract(epoch from now()) * 1000)::float8`;
}
