/** What the API answers, in its own words: the schemas that check its answers give the types here. */
import type { runDetailSchema, runSchema } from "@downbeat/api/run-schemas.ts";
import type { scheduleSchema } from "@downbeat/api/schedule-schemas.ts";
import type * as z from "zod";

export type Run = z.output<typeof runSchema>;
export type RunDetail = z.output<typeof runDetailSchema>;
export type Schedule = z.output<typeof scheduleSchema>;
