import type { Sql } from "@downbeat/store/connect.ts";
import { tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import * as z from "zod";
import type { Api, ApiParts } from "../api.ts";
import { tenantOf } from "../http/authenticate.ts";
import { type BulkAnswer, type BulkChange, bulkChange, bulkSchedulesMax, bulkSchema } from "./bulk-schemas.ts";
import { changeSchedules, type ChangeSchedulesOptions } from "./change-schedules.ts";
import { problemAnswer } from "../http/problem.ts";
import { dryRunQuery } from "./schedule-schemas.ts";

/** One change of many schedules. */
export function bulkRoutes(api: Api, { sql, allowPrivateTargets, defaults }: ApiParts): void {
  api.route({
    method: "POST",
    url: "/schedules/bulk",
    schema: {
      operationId: "changeSchedules",
      summary: "Change, pause or resume many schedules",
      description: `All of them or none, at most ${bulkSchedulesMax} at a time. What is refused for one is refused for all, and the answer names it. A herd is spread with \`{"filter": {"cron_expression": "0 0 * * *"}, "changes": {"spread": "15m"}}\`.`,
      tags: ["schedules"],
      querystring: z.strictObject({ dry_run: dryRunQuery }),
      body: bulkChange,
      response: { 200: bulkSchema.describe("What was done; with `dry_run`, what would be."), default: problemAnswer },
    },
    handler: (request) => {
      const { id: tenantId } = tenantOf(request.caller);
      const isDryRun = request.query.dry_run === "true";
      return change(sql, request.body, { caller: request.caller, tenantId, allowPrivateTargets, defaults, isDryRun });
    },
  });
}

async function change(sql: Sql, given: BulkChange, options: ChangeSchedulesOptions): Promise<BulkAnswer> {
  const scope = { kind: "tenant", tenantId: options.tenantId } as const;
  try {
    return await tenantTransaction(sql, scope, async (database) => {
      const answer = await changeSchedules(database, given, options);
      if (options.isDryRun) throw new Foreseen(answer);
      return answer;
    });
  } catch (error) {
    if (error instanceof Foreseen) return error.answer;
    throw error;
  }
}

/** Ends the transaction of a dry run without a trace: pausing and resuming are tried, not computed. */
class Foreseen extends Error {
  override readonly name = "Foreseen";
  readonly answer: BulkAnswer;

  constructor(answer: BulkAnswer) {
    super("a dry run is taken back");
    this.answer = answer;
  }
}
