import { keyRingProblem } from "@downbeat/delivery/seal.ts";
import { queueConfig } from "@downbeat/queue/config.ts";
import { commonConfig, flag, integer, operationsConfig } from "@downbeat/runtime/config.ts";
import * as z from "zod";

export const executorConfig = z.object({
  DATABASE_URL: z
    .string()
    .describe("Postgres, `postgres://user:password@host:port/database`; the login must be a member of the role `downbeat_executor`."),
  ...queueConfig.shape,
  DOWNBEAT_SECRET_KEYS: z
    .string()
    .refine((text) => keyRingProblem(text) === null, { error: ({ input }) => keyRingProblem(String(input)) ?? "" })
    .describe(
      "Key ring that opens endpoint secrets: `keyid:base64` of 32 bytes, comma-separated; the first one seals, all of them open. The same as the API's.",
    ),
  MAX_CONCURRENT_RUNS: integer(1, 10_000).default(100).describe("Slots: calls open at once in this process. Default 100."),
  PREFETCH_RUNS: integer(0, 100_000)
    .default(200)
    .describe(
      "Received runs that may wait in this process without a lease. Default 200, two for each slot: enough to keep slots busy between receives, too few to starve another executor.",
    ),
  RECEIVERS: integer(1, 16)
    .default(2)
    .describe("Long polls open at once. Default 2: one receives while the other's messages are being leased."),
  RECEIVE_WAIT_SECONDS: integer(0, 20)
    .default(20)
    .describe("How long a long poll waits for a first message, in seconds. Default 20, the most SQS allows."),
  VISIBILITY_SECONDS: integer(2, 43_200)
    .default(60)
    .describe(
      "How long a received message stays hidden from other executors, in seconds; extended while its runs are open. Default 60, more than a lease.",
    ),
  LEASE_MS: integer(500, 3_600_000)
    .default(45_000)
    .describe(
      "Length of a lease counted from the start of the call, in ms. Default 45,000: the longest call (30 s) and 15 s to record it (rule X4).",
    ),
  HOLD_MS_MAX: integer(0, 60_000)
    .default(5_000)
    .describe(
      "Runs due within this time wait in the process for their instant, in ms (leased only a quarter of a second before it); later ones go back to the queue until then. Default 5,000: covers SQS's whole-second delays.",
    ),
  RECORD_DELAY_MS: integer(0, 1_000).default(20).describe("How long an outcome waits for others to be written with it, in ms. Default 20."),
  DRAIN_SECONDS: integer(1, 3_600)
    .default(45)
    .describe(
      "After SIGTERM: how long calls in flight may take to end and be recorded, in seconds. Default 45; Kubernetes must grant more than that.",
    ),
  LOST_AFTER_SECONDS: integer(1, 86_400)
    .default(600)
    .describe("For runs handed back while draining: when the sweep asks for them, in seconds. Default 600, as the dispatcher's."),
  ALLOW_PRIVATE_TARGETS: flag()
    .default(false)
    .describe("Lets runs call loopback and private addresses, and plain http. Default false; only for development and tests."),
  ...operationsConfig.shape,
  METRICS_TENANT_LABEL: flag()
    .default(false)
    .describe(
      "Adds the label `tenant` (its id) to the metrics of attempts and start lag. Default false: each tenant adds series, and who has tenants by the thousand has too many.",
    ),
  ...commonConfig.shape,
});

export type ExecutorConfig = z.output<typeof executorConfig>;
