import type { SinkReport, Usage } from "./bench-system.ts";

export interface BenchResult {
  runs: number;
  delivered: number;
  duplicates: number;
  runs_per_second: number;
  p50_lag_ms: number;
  p99_lag_ms: number;
  cpu_seconds_per_1000_runs: number;
  sqs_requests_per_1000_runs: number;
  pg_transactions_per_1000_runs: number;
}

/** The bench's own processes: their CPU is shown but not counted as Downbeat's. */
const notOurs = new Set(["sink", "sqs server"]);

export interface Measured {
  runs: number;
  /** From the first instant due to the last call, in seconds. */
  seconds: number;
  sink: SinkReport;
  before: Usage;
  after: Usage;
}

export function toResult({ runs, seconds, sink, before, after }: Measured): BenchResult {
  const lags = [...sink.lagsMs].sort((a, b) => a - b);
  const per1000 = (value: number) => round((value / runs) * 1_000);
  const cpu = Object.entries(cpuUsed(before, after)).filter(([role]) => !notOurs.has(role));
  return {
    runs,
    delivered: sink.distinct,
    duplicates: sink.calls - sink.distinct,
    runs_per_second: round(sink.distinct / seconds),
    p50_lag_ms: round(percentile(lags, 0.5)),
    p99_lag_ms: round(percentile(lags, 0.99)),
    cpu_seconds_per_1000_runs: per1000(cpu.reduce((sum, [, used]) => sum + used, 0)),
    sqs_requests_per_1000_runs: per1000(sumOf(after.sqsRequests) - sumOf(before.sqsRequests)),
    pg_transactions_per_1000_runs: per1000(after.transactions - before.transactions),
  };
}

/** For people, and as the last line one JSON object for programs. */
export function printReport(title: string, measured: Measured): void {
  const result = toResult(measured);
  const { runs, seconds, sink, before, after } = measured;
  const lags = [...sink.lagsMs].sort((a, b) => a - b);
  const lines = [
    title,
    `  last delivery     ${seconds.toFixed(2)} s after the first instant`,
    `  delivered         ${result.delivered} of ${runs}, ${result.duplicates} duplicates`,
    `  throughput        ${result.runs_per_second} runs/s`,
    `  lag               p50 ${result.p50_lag_ms} ms, p99 ${result.p99_lag_ms} ms, min ${round(lags[0] ?? 0)} ms, max ${round(lags.at(-1) ?? 0)} ms`,
    "  CPU seconds per 1,000 runs",
    ...Object.entries(cpuUsed(before, after)).map(
      ([role, used]) => `    ${role.padEnd(14)}  ${((used / runs) * 1_000).toFixed(3)}${notOurs.has(role) ? "  (not counted)" : ""}`,
    ),
    `    ${"Downbeat".padEnd(14)}  ${result.cpu_seconds_per_1000_runs.toFixed(3)}`,
    `  SQS requests      ${((sumOf(after.sqsRequests) - sumOf(before.sqsRequests)) / runs).toFixed(4)} per run: ${requestsUsed(before, after)}`,
    `  transactions      ${result.pg_transactions_per_1000_runs} per 1,000 runs`,
  ];
  process.stdout.write(`${lines.join("\n")}\n${JSON.stringify(result)}\n`);
}

function cpuUsed(before: Usage, after: Usage): Record<string, number> {
  return Object.fromEntries(Object.entries(after.cpu).map(([role, seconds]) => [role, seconds - (before.cpu[role] ?? 0)]));
}

function requestsUsed(before: Usage, after: Usage): string {
  return Object.entries(after.sqsRequests)
    .map(([action, count]) => `${action} ${count - (before.sqsRequests[action] ?? 0)}`)
    .join(", ");
}

function sumOf(counts: Record<string, number>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** Nearest rank. `sorted` ascends. */
function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
