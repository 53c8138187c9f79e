/**
 * `make bench-due-index SCHEDULES=1000000 DUE=10000`: what it costs to claim, with `next_run_at` in a narrow table and in the wide row of the schedule (decision 0002). Claims only:
 * lock, compute, insert runs, advance, commit, on a durable Postgres. Takes about 15 minutes and 6 GB of disk at a million schedules.
 */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { startPostgres } from "@downbeat/embedded/postgres.ts";
import { connect, type Sql } from "@downbeat/store/connect.ts";
import { migrate } from "@downbeat/store/migrate.ts";
import { explainLock } from "./due-index-explain.ts";
import { type Layout, layouts } from "./due-index-layouts.ts";
import { addSchedules, dueAtOf, loadSchedules } from "./due-index-load.ts";
import { drift, printTable, type Row, summarise } from "./due-index-report.ts";
import { claimInTurn, type Contender, storageOf } from "./due-index-rounds.ts";
import { numberOption } from "./options.ts";

const schedules = numberOption("SCHEDULES", 1_000_000, 1_000, 10_000_000);
const due = numberOption("DUE", 10_000, 1_000, 100_000);
const rounds = numberOption("ROUNDS", 20, 1, 60);
/** A quarter of the memory, as Postgres's own advice has it, so that layouts are compared and not the disk. */
const sharedBuffersMb = numberOption("SHARED_BUFFERS_MB", Math.min(8_192, Math.floor(totalmem() / 4 / 1_048_576)), 128, 65_536);

const folder = await mkdtemp(join(tmpdir(), "downbeat-bench-"));
// The server may run as another user than the one whose temporary folder this is.
await chmod(folder, 0o755);
const postgres = await startPostgres({
  dataDir: join(folder, "postgres"),
  port: 0,
  isDurable: true,
  settings: { shared_buffers: `${sharedBuffersMb}MB` },
});
const server = connect({ url: postgres.url, connectionsMax: 1, applicationName: "bench" });
const result: Record<string, Row[]> = {};
let databases = 0;
let closing: Promise<void> | undefined;
// Ctrl+C in these minutes must not leave a server and gigabytes behind.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void close().finally(() => process.exit(130)));
try {
  await addIdle();
  await compareLayouts();
  await compareSizes();
  await compareNarrowVariants();
  await compareBursts();
} finally {
  await close();
}
process.stdout.write(`${JSON.stringify({ schedules, due, rounds, ...result })}\n`);

function close(): Promise<void> {
  closing ??= (async () => {
    await server.end({ timeout: 1 });
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  })();
  return closing;
}

/** The same due schedules, where they are, while idle ones are added. */
async function addIdle(): Promise<void> {
  const contender = await arrange(layouts.narrow, { schedules: due, inputBytes: 0 });
  const rows: Row[] = [await explainRow(contender)];
  for (const size of [schedules / 10, schedules].filter((each) => each > due)) {
    const from = contender.set.schedules;
    contender.set = { ...contender.set, schedules: size };
    await addSchedules(contender.admin, contender.set, from);
    rows.push({ ...(await explainRow(contender)), name: `${layouts.narrow.name}, ${size}` });
  }
  print("explainIdle", `EXPLAIN (ANALYZE, BUFFERS) of the lock of 1,000, the same ${due} due and more and more idle`, rows);
  await dismiss(contender);
}

/** Narrow against wide. Each round claims schedules that nobody has touched for a long time. */
async function compareLayouts(): Promise<void> {
  const contenders = [await arrange(layouts.narrow, { schedules }), await arrange(layouts.wide, { schedules })];
  print("sizesBefore", "On disk, before the first claim", await inOrder(contenders, sizeRow));
  await claimInTurn(contenders, 1);
  print("layouts", `${rounds} rounds of ${due} due; for each 1,000 claims`, summarise(contenders, await claimInTurn(contenders, rounds)));
  print("sizesAfter", "On disk, after the rounds", await inOrder(contenders, sizeRow));
  await inOrder(contenders, dismiss);
}

/** The same number due of more and more schedules, in the chosen layout: rows nobody has touched for a long time, and at the largest size also the same rows each time. */
async function compareSizes(): Promise<void> {
  const sizes = [schedules / 100, schedules / 10, schedules].filter((size) => size >= due);
  const contenders = await inOrder(sizes, (size) => arrange(layouts.narrow, { schedules: size }));
  contenders.push({
    ...(await arrange(layouts.narrow, { schedules, groupsMax: 1 })),
    name: `narrow, ${schedules}, the same due each round`,
  });
  await claimInTurn(contenders, 2);
  print("sizes", `${rounds} rounds of ${due} due; for each 1,000 claims`, summarise(contenders, await claimInTurn(contenders, rounds)));
  print("explainAged", "EXPLAIN (ANALYZE, BUFFERS) of the lock of 1,000, after the rounds", await inOrder(contenders, explainRow));
  await inOrder(contenders, dismiss);
}

/** Kinds of the narrow table. The same schedules are due in every round, which wears a table out fastest; it is vacuumed only where that is said. */
async function compareNarrowVariants(): Promise<void> {
  const hot = { schedules, groupsMax: 1, inputBytes: 0 };
  const contenders = [
    await arrange(layouts.narrow, hot),
    await arrange(layouts.narrowCovering, hot),
    await arrange(layouts.narrowLoose, hot),
    { ...(await arrange(layouts.narrow, hot)), name: "narrow, vacuumed every 5 rounds", vacuumEvery: 5 },
  ];
  for (const { admin } of contenders) await admin`alter table downbeat.schedule_due set (autovacuum_enabled = false)`;
  await claimInTurn(contenders, 1);
  const results = await claimInTurn(contenders, 2 * rounds);
  const worn = summarise(contenders, results).map((row, index) => ({ ...row, "Postgres ms, first → last": drift(results[index] ?? []) }));
  print("variants", `Kinds of the narrow table, ${2 * rounds} rounds of the same ${due}; for each 1,000 claims`, worn);
  print("variantSizes", "On disk, after the rounds", await inOrder(contenders, sizeRow));
  const [plain, covering] = contenders;
  if (plain !== undefined && covering !== undefined) await compareHeldSnapshot([plain, covering]);
  await inOrder(contenders, dismiss);
}

/** A transaction that stays open keeps every claimed row's old entry at the low end of the due index, where each claim begins to read. */
async function compareHeldSnapshot(contenders: readonly Contender[]): Promise<void> {
  const holders = await inOrder(contenders, async ({ admin }) => {
    const holder = await admin.reserve();
    await holder`begin isolation level repeatable read`;
    await holder`select count(*) from downbeat.tenants`;
    return holder;
  });
  const results = await claimInTurn(contenders, rounds);
  for (const holder of holders) {
    await holder`rollback`;
    holder.release();
  }
  const recovered = await claimInTurn(contenders, 3);
  const rows = contenders.map(({ name }, index) => ({
    name,
    "Postgres ms, first → last": drift(results[index] ?? []),
    "after it ended": drift(recovered[index]?.slice(-1) ?? []).split(" ")[0] ?? "",
  }));
  print("heldSnapshot", `${rounds} rounds of ${due} under a transaction that stays open; for each 1,000 claims`, rows);
}

/** The same number of schedules, more and more of them due at one instant. */
async function compareBursts(): Promise<void> {
  const bursts = [1_000, 10_000, 100_000].filter((burst) => burst <= schedules);
  const contenders = await inOrder(bursts, async (burst) => ({
    ...(await arrange(layouts.narrow, { schedules, due: burst, groupsMax: 10, inputBytes: 0 })),
    name: `${burst} due`,
  }));
  await claimInTurn(contenders, 1);
  print(
    "bursts",
    `Schedules due at one instant, of ${schedules}; for each 1,000 claims`,
    summarise(contenders, await claimInTurn(contenders, 7)),
  );
  await inOrder(contenders, dismiss);
}

interface ArrangeOptions {
  schedules: number;
  due?: number;
  groupsMax?: number;
  inputBytes?: number;
}

async function arrange(layout: Layout, options: ArrangeOptions): Promise<Contender> {
  databases += 1;
  const name = `bench_${databases}`;
  await server.unsafe(`create database ${name}`);
  const url = new URL(postgres.url);
  url.pathname = `/${name}`;
  const admin = connect({ url: url.href, connectionsMax: 1, applicationName: "bench" });
  await migrate(admin);
  await admin`set statement_timeout = 0`;
  await admin.unsafe(layout.ddl);
  const set = await loadSchedules(admin, { due, inputBytes: 1_000, ...options, isWide: layout.table === "schedules" });
  process.stderr.write(`loaded ${options.schedules} schedules, ${layout.name}\n`);
  return { name: `${layout.name}, ${options.schedules}`, layout, set, admin, sql: await dispatcherSession(url.href), round: 0 };
}

/** Only index look-ups to choose from, as the dispatcher's sessions are meant to plan (decision 0004). */
async function dispatcherSession(url: string): Promise<Sql> {
  const sql = connect({ url, role: "downbeat_dispatcher", connectionsMax: 1, applicationName: "bench-dispatcher" });
  for (const method of ["hashjoin", "mergejoin", "seqscan", "bitmapscan"]) await sql.unsafe(`set enable_${method} = off`);
  return sql;
}

async function dismiss({ sql, admin }: Contender): Promise<void> {
  const [row] = await admin<{ name: string }[]>`select current_database() as name`;
  await sql.end();
  await admin.end();
  await server.unsafe(`drop database ${row?.name} with (force)`);
}

async function sizeRow(contender: Contender): Promise<Row> {
  return { name: contender.name, ...(await storageOf(contender)) };
}

async function explainRow({ name, sql, set, round }: Contender): Promise<Row> {
  const horizonMs = dueAtOf(set, round) + 1 - Date.now();
  // The first one warms what a dispatcher that runs all day finds warm.
  await explainLock(sql, horizonMs, 1_000);
  const plan = await explainLock(sql, horizonMs, 1_000);
  return {
    name,
    index: [...new Set(plan.indexes)].join(", "),
    "entries read": plan.rows,
    buffers: plan.buffers,
    "cost of reading": Math.round(plan.readCost),
    "total cost": Math.round(plan.totalCost),
    ms: Math.round(plan.executionMs * 10) / 10,
  };
}

function print(key: string, title: string, rows: Row[]): void {
  result[key] = rows;
  printTable(title, rows);
}

async function inOrder<Item, Result>(items: readonly Item[], act: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  for (const item of items) results.push(await act(item));
  return results;
}
