import type { Sql } from "@downbeat/store/connect.ts";
import { tenantTransaction } from "@downbeat/store/tenant-transaction.ts";
import * as z from "zod";
import type { Api, ApiParts } from "../api.ts";
import { readLastPassAge } from "./read-installation.ts";

const healthSchema = z
  .object({
    status: z.enum(["ok", "unavailable"]).describe("`ok` when requests can be served."),
    database: z.enum(["up", "down"]).describe("Whether Postgres answers."),
    version: z.string().describe("Version of the program."),
    last_pass_age_seconds: z
      .number()
      .nullable()
      .optional()
      .describe(
        "Seconds since a dispatcher last finished a pass; null when none ever did. More than about a minute means that nothing is being dispatched.",
      ),
  })
  .meta({ id: "Health" });

/** How long Postgres may take to say that it is there: a probe's own time limit is usually a few seconds. */
const answerMsMax = 2_500;

/** Needs no key, so that a load balancer and a stranger with curl can ask. */
export function healthRoutes(api: Api, { sql, version }: ApiParts, { isDocumented }: { isDocumented: boolean }): void {
  api.route({
    method: "GET",
    url: "/health",
    schema: {
      hide: !isDocumented,
      operationId: "getHealth",
      summary: "Whether the service can serve requests",
      tags: ["health"],
      security: [],
      response: { 200: healthSchema.describe("It can."), 503: healthSchema.describe("Postgres cannot be reached.") },
    },
    handler: async (_request, reply) => {
      const answer = await Promise.race([lastPassAge(sql), unanswered()]).catch(() => "down" as const);
      if (answer === "down") return reply.code(503).header("retry-after", "5").send({ status: "unavailable", database: "down", version });
      return { status: "ok" as const, database: "up" as const, version, last_pass_age_seconds: answer };
    },
  });
}

function lastPassAge(sql: Sql): Promise<number | null> {
  return tenantTransaction(sql, { kind: "platform" }, readLastPassAge);
}

function unanswered(): Promise<"down"> {
  return new Promise((resolve) => {
    setTimeout(() => resolve("down"), answerMsMax).unref();
  });
}
