import * as z from "zod";
import { instantField, tenantRef, uuidField } from "../http/field-types.ts";

const findingSchema = z
  .object({
    kind: z
      .enum(["lost", "unexpected"])
      .describe("`lost`: an occurrence without a row in the ledger. `unexpected`: a row that no occurrence asked for."),
    at: instantField.describe("The instant of the occurrence or row."),
    tenant: tenantRef.describe("Whose schedule."),
    schedule: z
      .object({
        id: uuidField.describe("Id of the schedule."),
        name: z.string().describe("Its name at the time of the audit."),
      })
      .describe("The schedule."),
  })
  .meta({ id: "AuditFinding" });

export const auditSchema = z
  .object({
    id: uuidField.describe("Id of the audit."),
    started_at: instantField.describe("When it began."),
    finished_at: instantField.describe("When it had compared every schedule."),
    from: instantField.describe("Begin of the stretch whose occurrences were compared."),
    to: instantField.describe("End of that stretch."),
    schedules: z.int().describe("Schedules that had something to compare."),
    expected: z.int().describe("Occurrences that their rules have."),
    recorded: z.int().describe("Occurrences that the ledger has."),
    lost: z.int().describe("Occurrences without a row."),
    unexpected: z.int().describe("Rows without an occurrence."),
    difference: z.int().describe("`lost` and `unexpected` together. Must be 0."),
    findings: z.array(findingSchema).describe("The first of them, at most 100, and 20 of each kind for one schedule."),
  })
  .meta({ id: "Audit", description: "One comparison of the ledger with the rules of all schedules." });
