import type { Contender, Round } from "./due-index-rounds.ts";

export interface Row {
  name: string;
  [column: string]: string | number;
}

/** Medians of each contender's rounds; the ratio is the median of the ratios to the first contender's round of the same turn. */
export function summarise(contenders: readonly Contender[], results: readonly Round[][]): Row[] {
  return contenders.map(({ name }, index) => {
    const rounds = results[index] ?? [];
    const of = (field: keyof Round) => median(rounds.map((round) => round[field]));
    return {
      name,
      "claims/s": Math.round(of("ratePerSecond")),
      "rate ratio": round2(ratioToFirst(results, index, "ratePerSecond")),
      "Postgres ms": round1(of("postgresMs")),
      "CPU ratio": round2(ratioToFirst(results, index, "postgresMs")),
      "Node ms": round1(of("nodeMs")),
      "WAL kB": Math.round(of("walKb")),
      "full pages": Math.round(of("fullPages")),
    };
  });
}

/** How a contender changes as its rounds add up: the medians of the first and of the last third. */
export function drift(results: readonly Round[]): string {
  const third = Math.max(1, Math.floor(results.length / 3));
  const of = (part: readonly Round[]) => round1(median(part.map((round) => round.postgresMs)));
  return `${of(results.slice(0, third))} → ${of(results.slice(-third))}`;
}

export function printTable(title: string, rows: readonly Row[]): void {
  const columns = Object.keys(rows[0] ?? {});
  const cells = [
    columns.map((column) => (column === "name" ? "" : column)),
    ...rows.map((row) => columns.map((column) => String(row[column]))),
  ];
  const widths = columns.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  const lines = cells.map((line) =>
    line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join("  "),
  );
  process.stdout.write(`\n${title}\n${lines.join("\n")}\n`);
}

function ratioToFirst(results: readonly Round[][], index: number, field: keyof Round): number {
  const first = results[0] ?? [];
  return median((results[index] ?? []).map((round, turn) => round[field] / (first[turn]?.[field] ?? Number.NaN)));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

function round1(value: number): number {
  return Math.round(value * 10) / 10;
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}
