/** What the API answers, in its own words: the schemas that check its answers give the types here. */
import type { auditSchema } from "@downbeat/api/operations/audit-schemas.ts";
import type { backfillPlanSchema, backfillSchema } from "@downbeat/api/backfills/backfill-schemas.ts";
import type { bulkSchema } from "@downbeat/api/schedules/bulk-schemas.ts";
import type {
  calendarDetailSchema,
  calendarDryRunSchema,
  calendarSchema,
  changedCalendarSchema,
} from "@downbeat/api/calendars/calendar-schemas.ts";
import type { explanationSchema } from "@downbeat/api/explain/explain-schemas.ts";
import type { forecastSchema } from "@downbeat/api/forecast/forecast-schemas.ts";
import type { runDetailSchema, runSchema } from "@downbeat/api/runs/run-schemas.ts";
import type {
  dryRunSchema,
  impactSchema,
  pausedScheduleSchema,
  resumedScheduleSchema,
  scheduleSchema,
  updatedScheduleSchema,
  writtenScheduleSchema,
} from "@downbeat/api/schedules/schedule-schemas.ts";
import type { timezonesSchema } from "@downbeat/api/operations/timezone-schemas.ts";
import type { storedPreviewSchema } from "@downbeat/api/schedules/timing-questions.ts";
import type { createdTenant, tenantSchema } from "@downbeat/api/tenants/tenant-schemas.ts";
import type * as z from "zod";

export type Audit = z.output<typeof auditSchema>;
export type Backfill = z.output<typeof backfillSchema>;
export type BackfillPlan = z.output<typeof backfillPlanSchema>;
export type BulkChange = z.output<typeof bulkSchema>;
export type Calendar = z.output<typeof calendarSchema>;
export type CalendarDetail = z.output<typeof calendarDetailSchema>;
export type CalendarDryRun = z.output<typeof calendarDryRunSchema>;
export type ChangedCalendar = z.output<typeof changedCalendarSchema>;
export type CreatedTenant = z.output<typeof createdTenant>;
export type Explanation = z.output<typeof explanationSchema>;
export type Forecast = z.output<typeof forecastSchema>;
export type PausedSchedule = z.output<typeof pausedScheduleSchema>;
export type ResumedSchedule = z.output<typeof resumedScheduleSchema>;
export type Run = z.output<typeof runSchema>;
export type RunDetail = z.output<typeof runDetailSchema>;
export type Schedule = z.output<typeof scheduleSchema>;
export type ScheduleDryRun = z.output<typeof dryRunSchema>;
export type ScheduleImpact = z.output<typeof impactSchema>;
export type StoredPreview = z.output<typeof storedPreviewSchema>;
export type Timezones = z.output<typeof timezonesSchema>;
export type Tenant = z.output<typeof tenantSchema>;
export type UpdatedSchedule = z.output<typeof updatedScheduleSchema>;
export type WrittenSchedule = z.output<typeof writtenScheduleSchema>;
