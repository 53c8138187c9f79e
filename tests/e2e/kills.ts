import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "@downbeat/runtime/random.ts";
import { until } from "@downbeat/testkit/until.ts";
import type { System } from "./system.ts";
import { tell } from "./tool.ts";

export interface Kill {
  at: string;
  what: "executor killed" | "dispatcher killed" | "dispatcher Job deleted";
  name: string;
  /** Runs that were leased by the executor, or claimed by any dispatcher and not yet sent. */
  inFlight: number;
}

export interface KillPlan {
  random: Random;
  kills: number;
  /** Between these instants, ms since 1970. */
  fromAt: number;
  toAt: number;
}

/** Ends executors and dispatchers at random instants. Which, and when, follows from the random numbers alone; who that is at that moment does not. */
export async function killAtRandom(system: System, { random, kills, fromAt, toAt }: KillPlan): Promise<Kill[]> {
  const plan = Array.from({ length: kills }, () => ({ at: fromAt + random() * (toAt - fromAt), kind: random(), which: random() }));
  const done: Kill[] = [];
  for (const { at, kind, which } of plan.toSorted((a, b) => a.at - b.at)) {
    await sleep(Math.max(0, at - Date.now()));
    const kill = kind < 0.5 ? await killExecutor(system, which) : await killDispatcher(system, kind < 0.75 ? "crash" : "delete");
    tell(`${kill.what}: ${kill.name}, ${kill.inFlight} in flight`);
    done.push(kill);
  }
  return done;
}

async function killExecutor(system: System, which: number): Promise<Kill> {
  // After the last kill the next one may not be ready yet.
  const names = await until(
    "an executor",
    async () => {
      const ready = await system.executors();
      return ready.length > 0 ? ready : undefined;
    },
    { deadlineMs: system.settleMsMax },
  );
  const name = names[Math.floor(which * names.length)] ?? "";
  const [row] = await system.sql<{ runs: number }[]>`
    select count(*)::int as runs from downbeat.runs where state = 'running' and starts_with(executor, ${`${name}-`})`;
  await system.killExecutor(name);
  return { at: new Date().toISOString(), what: "executor killed", name, inFlight: row?.runs ?? 0 };
}

async function killDispatcher(system: System, how: "crash" | "delete"): Promise<Kill> {
  const [row] = await system.sql<{ runs: number }[]>`select count(*)::int as runs from downbeat.runs where state = 'pending'`;
  // None runs in the last seconds of a minute.
  const name = await until("a dispatcher", () => system.killDispatcher(how), { deadlineMs: system.settleMsMax, everyMs: 500 });
  const what = how === "crash" ? "dispatcher killed" : "dispatcher Job deleted";
  return { at: new Date().toISOString(), what, name, inFlight: row?.runs ?? 0 };
}
