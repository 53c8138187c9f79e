import * as z from "zod";
import { explainOutcomes } from "./explain-instant.ts";
import { stepNames } from "./explain-steps.ts";
import { instantField, uuidField } from "../http/field-types.ts";
import { runDetailSchema, runSchema } from "../runs/run-schemas.ts";

const outcomeField = z
  .enum(explainOutcomes)
  .describe("What became of it: `fired` when it was called at least once, as the run's state says; else why it was not, or not yet.");

const neighbourSchema = z
  .object({
    at: instantField.describe("The occurrence."),
    local: z.string().describe("What the clocks of the schedule's zone show then."),
    outcome: outcomeField,
    headline: z.string().describe("What became of it and why, in one sentence."),
    run_id: uuidField.nullable().describe("Its row in the ledger, or the one of the stretch it lies in."),
    state: z.string().nullable().describe("The state of that row."),
  })
  .meta({ id: "ExplainedNeighbour", description: "The occurrence before or after an instant." });

const stepSchema = z
  .object({
    step: z.enum(stepNames).describe("What was asked."),
    passed: z.boolean().describe("False: this is why it did not run, or not as planned."),
    text: z.string().describe("The answer, in a sentence or two."),
    data: z.record(z.string(), z.unknown()).describe("The same for programs; what it holds depends on the step."),
  })
  .meta({ id: "ExplainedStep", description: "One step of a decision." });

export const explanationSchema = z
  .object({
    schedule: z
      .object({ id: uuidField.describe("Id of the schedule."), name: z.string().describe("Its name.") })
      .describe("Which schedule."),
    at: instantField.describe("The instant that is explained."),
    asked: z.string().nullable().describe("`at` as it was asked for. Null: the last occurrence was meant."),
    local: z.string().describe("What the clocks of the schedule's zone show at `at`, with the offset."),
    timezone: z.string().describe("The zone of the schedule then."),
    headline: z.string().describe("What became of it and why, in one sentence."),
    outcome: outcomeField,
    run: runDetailSchema
      .nullable()
      .describe("Its row in the ledger, or the one of the stretch it lies in, with attempts and life. Null: there is none."),
    steps: z.array(stepSchema).describe("The decision, in order. Steps that were not taken are left out."),
    previous: neighbourSchema.nullable().describe("The occurrence before. Null: there is none since the schedule was created."),
    next: neighbourSchema.nullable().describe("The occurrence after."),
    other_runs: z.array(runSchema).describe("Runs in the same minute that were asked for by hand or backfilled."),
  })
  .meta({ id: "Explanation", description: "Why something ran or did not run at one instant of a schedule." });
