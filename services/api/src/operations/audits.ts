import { tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import { parseInstant } from "@downbeat/timing/parse-instant.ts";
import { sql as fragment } from "kysely";
import * as z from "zod";
import type { Api, ApiParts } from "../api.ts";
import { auditSchema } from "./audit-schemas.ts";
import { parseCursor, toPage } from "../http/cursor.ts";
import { cursorQuery, isUuid, limitQuery, pageOf } from "../http/field-types.ts";
import { Problem, problemAnswer } from "../http/problem.ts";
import { selectAudits, toAudit } from "./read-audits.ts";

export function auditRoutes(api: Api, { sql }: ApiParts): void {
  api.route({
    method: "GET",
    url: "/audits",
    schema: {
      operationId: "listAudits",
      summary: "List audits of the ledger, newest first",
      description:
        "Once an hour a dispatcher compares, for every schedule, the occurrences of the last day with the ledger. Kept for 30 days. Needs an administrator's key.",
      tags: ["audit"],
      querystring: z.strictObject({ limit: limitQuery, cursor: cursorQuery }),
      response: { 200: pageOf(auditSchema).describe("Audits, newest first."), default: problemAnswer },
    },
    handler: async (request) => {
      if (request.caller.scope !== "admin") throw new Problem("forbidden", { detail: "Only an administrator's API key may see audits." });
      const { limit, cursor } = request.query;
      const before = parseCursor(cursor, ([at, id]) => parseInstant(at) !== null && isUuid(id));
      const rows = await tenantTransaction(sql, { kind: "platform" }, (database) => {
        let audits = selectAudits(database);
        // Texts of whole milliseconds, as the cursor has them.
        if (before !== undefined)
          audits = audits.where(
            fragment<boolean>`(date_trunc('milliseconds', started_at), id) < (${before[0]}::timestamptz, ${before[1]}::uuid)`,
          );
        return audits.limit(limit + 1).execute();
      });
      return toPage(rows, limit, toAudit, (row) => [row.started_at.toISOString(), row.id]);
    },
  });
}
