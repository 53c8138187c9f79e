import { queueConfig } from "@downbeat/queue/config.ts";
import { runsPerMessageMax } from "@downbeat/queue/wake-up.ts";
import { commonConfig, integer, operationsConfig } from "@downbeat/runtime/config.ts";
import * as z from "zod";

export const dispatcherConfig = z.object({
  DATABASE_URL: z
    .string()
    .describe("Postgres, `postgres://user:password@host:port/database`; the login must be a member of the role `downbeat_dispatcher`."),
  ...queueConfig.shape,
  DISPATCH_FOR_SECONDS: z
    .union([z.literal("forever"), integer(0, 86_400)])
    .default(55)
    .describe(
      "How long the process goes on making passes, in seconds; `0` makes one pass, `forever` is for a Deployment. Default 55: a CronJob starts the next process each minute.",
    ),
  PASS_INTERVAL_MS: integer(50, 60_000)
    .default(5_000)
    .describe(
      "Time from the start of a pass to the next, in ms. Default 5,000: what a retry or an edit waits at most when no notification arrives.",
    ),
  HORIZON_SECONDS: integer(0, 600)
    .default(75)
    .describe(
      "How far ahead occurrences are claimed and handed to the queue, in seconds. Default 75: more than the minute between two CronJob starts, so that a start never makes a run late.",
    ),
  CLAIM_BATCH: integer(1, 5_000)
    .default(1_000)
    .describe(
      "Schedules claimed in one transaction. Default 1,000: smaller costs more CPU for each, larger holds locks longer for little.",
    ),
  RUNS_PER_MESSAGE: integer(1, runsPerMessageMax)
    .default(20)
    .describe("Most runs one queue message names. Default 20: a burst costs a twentieth of the queue requests, and no executor hoards."),
  SENDS_IN_FLIGHT: integer(1, 64).default(16).describe("Send requests open at once. Default 16."),
  PUBLISH_TIMEOUT_MS: integer(100, 600_000)
    .default(10_000)
    .describe("How long a claimed run may stay unsent before the sweep of any dispatcher sends it, in ms. Default 10,000."),
  LOST_AFTER_SECONDS: integer(1, 86_400)
    .default(600)
    .describe(
      "A queued run that no executor took up this long after it was due is sent again, in seconds; each further time waits twice as long. Default 600: a backlog must not feed itself.",
    ),
  LEASE_GRACE_SECONDS: integer(0, 600)
    .default(20)
    .describe(
      "After Postgres was away, leases that ran out meanwhile are left alone this long, in seconds. Default 20, more than the longest wait between two tries: executors come first, to record what they did in the outage.",
    ),
  AUDIT_EVERY_SECONDS: integer(0, 604_800)
    .default(3_600)
    .describe(
      "How often the ledger is compared with the rules, by whichever dispatcher comes first, in seconds; `0` never. Default 3,600: a loss is known within the hour, and a comparison reads what was recorded in its window.",
    ),
  AUDIT_WINDOW_HOURS: integer(1, 168)
    .default(24)
    .describe(
      "How far back the audit compares, in hours. Default 24: a night without any dispatcher is looked at the next morning. Longer reads more of the ledger, each time.",
    ),
  ...operationsConfig.shape,
  ...commonConfig.shape,
});

export type DispatcherConfig = z.output<typeof dispatcherConfig>;
