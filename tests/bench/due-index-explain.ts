import type { Sql } from "@downbeat/store/connect.ts";
import { lockDueRows } from "@downbeat/store/lock-due.ts";

/** What the claim's lock statement read, as EXPLAIN (ANALYZE, BUFFERS) has it. */
export interface LockPlan {
  /** The indexes it used. */
  indexes: string[];
  /** The planner's estimate for reading the due index up to the limit. */
  readCost: number;
  totalCost: number;
  /** Pages of 8 KB, all from memory or not. */
  buffers: number;
  rows: number;
  executionMs: number;
}

interface PlanNode {
  "Node Type": string;
  "Index Name"?: string;
  "Total Cost": number;
  "Actual Rows": number;
  "Shared Hit Blocks": number;
  "Shared Read Blocks": number;
  Plans?: PlanNode[];
}

/** Explains the lock of `schedulesMax` due schedules. It locks them for that long and changes nothing. */
export async function explainLock(sql: Sql, horizonMs: number, schedulesMax: number): Promise<LockPlan> {
  const [row] = await sql.begin(
    (transaction) => transaction<{ "QUERY PLAN": [{ Plan: PlanNode; "Execution Time": number }] }[]>`
      explain (analyze, buffers, timing off, format json) ${lockDueRows(transaction, { horizonMs, schedulesMax })}`,
  );
  if (row === undefined) throw new Error("the server did not explain");
  const [{ Plan: plan, "Execution Time": executionMs }] = row["QUERY PLAN"];
  const nodes = flatten(plan);
  // From the top down, the limits are the batch's and the fairness window's.
  const read = nodes.findLast((node) => node["Node Type"] === "Limit");
  return {
    indexes: nodes.flatMap((node) => node["Index Name"] ?? []),
    readCost: read?.["Total Cost"] ?? Number.NaN,
    totalCost: plan["Total Cost"],
    buffers: plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
    rows: read?.["Actual Rows"] ?? Number.NaN,
    executionMs,
  };
}

function flatten(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(flatten)];
}
