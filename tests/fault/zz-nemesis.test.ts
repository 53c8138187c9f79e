import { expect, test } from "vitest";
import { callsByRun, expectEveryOccurrence, readLedger } from "./ledger.ts";
import { startOwnPostgres } from "./own-postgres.ts";
import { createWorld, shortLease } from "./world.ts";

test("nemesis", { timeout: 200_000 }, async (context) => {
  const postgres = await startOwnPostgres();
  const database = await postgres.createDatabase("nemesis");
  const world = await createWorld({ context, database });
  const anchorAt = await world.scheduleEachSecond(20);
  const dispatch = () => world.startDispatcher({ HORIZON_SECONDS: "2" });
  const execute = () => world.startExecutor(shortLease);
  const processes = [dispatch(), dispatch(), execute(), execute()];
  const endMs = Date.now() + 70_000;
  let kills = 0;
  while (Date.now() < endMs) {
    await new Promise((r) => setTimeout(r, 300 + Math.random() * 1500));
    const i = Math.floor(Math.random() * 5);
    if (i === 4) {
      if (Math.random() < 0.4) {
        await postgres.kill();
        await new Promise((r) => setTimeout(r, Math.random() * 1500));
        await postgres.start();
        kills += 1;
      }
      continue;
    }
    const how = Math.random();
    kills += 1;
    if (how < 0.2) {
      processes[i]!.signal("SIGSTOP");
      await new Promise((r) => setTimeout(r, 2500));
      processes[i]!.signal("SIGCONT");
    } else if (how < 0.5) {
      processes[i]!.signal("SIGTERM");
      const e = await processes[i]!.exited;
      if (e.code !== 0) console.log("EXIT", e, processes[i]!.output.slice(-5));
      processes[i] = i < 2 ? dispatch() : execute();
    } else {
      if (!processes[i]!.isAlive) console.log("DIED", await processes[i]!.exited, processes[i]!.output.slice(-8));
      await processes[i]!.kill();
      processes[i] = i < 2 ? dispatch() : execute();
    }
  }
  const endAt = await world.unschedule();
  await world.quiet(0);
  for (const p of processes) if (!p.isAlive) console.log("DIED", await p.exited, p.output.slice(-8));
  await expectEveryOccurrence(world, { anchorAt, endAt, everyMs: 1_000 });
  const calls = callsByRun(world);
  const ledger = await readLedger(world.sql);
  let bad = 0;
  for (const run of ledger)
    if ((calls.get(run.id) ?? 0) > run.outcomes.length) {
      bad += 1;
      console.log("EXTRA", run, calls.get(run.id));
    }
  const errs = processes.flatMap((p) => p.logs.filter((l) => l.level === "error" || l.level === "fatal").map((l) => l.msg));
  console.log({
    kills,
    runs: ledger.length,
    calls: world.receiver.calls.length,
    unknown: ledger.filter((r) => r.outcomes.includes("unknown")).length,
    redrives: ledger.filter((r) => r.redrives > 0).length,
    errs: [...new Set(errs)],
  });
  expect(bad).toBe(0);
  await postgres.kill();
});
