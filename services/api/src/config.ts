import { keyRingProblem } from "@downbeat/delivery/seal.ts";
import { queueConfig } from "@downbeat/queue/config.ts";
import { commonConfig, flag, integer, operationsConfig } from "@downbeat/runtime/config.ts";
import * as z from "zod";

export const apiConfig = z.object({
  DATABASE_URL: z
    .string()
    .describe("Postgres, `postgres://user:password@host:port/database`; the login must be a member of the role `downbeat_api`."),
  API_HOST: z
    .string()
    .default("127.0.0.1")
    .describe("Address to listen on. Default 127.0.0.1: reachable from outside only when that was decided; `0.0.0.0` in a container."),
  API_PORT: integer(0, 65_535).default(4600).describe("Port to listen on; `0` takes a free one. Default 4600."),
  DOWNBEAT_SECRET_KEYS: z
    .string()
    .refine((text) => keyRingProblem(text) === null, { error: ({ input }) => keyRingProblem(String(input)) ?? "" })
    .describe(
      "Key ring that seals endpoint secrets: `keyid:base64` of 32 bytes (`openssl rand -base64 32`), comma-separated; the first one seals, all of them open. The same as the executor's.",
    ),
  ALLOW_PRIVATE_TARGETS: flag()
    .default(false)
    .describe("Accepts endpoints on loopback and private addresses, and with plain http. Default false; only for development and tests."),
  SCHEDULE_GRACE_PERIOD_MINUTES: integer(0, 527_040)
    .optional()
    .describe(
      "Grace of new schedules that name none, in minutes: an occurrence later than this is missed under every policy. Default: one day, because shorter defaults lose runs to ordinary outages.",
    ),
  TENANT_INTERVAL_SECONDS_MIN: integer(1, 86_400)
    .default(60)
    .describe(
      "The shortest time between two occurrences that a tenant's key may ask for, in seconds, unless the tenant has a limit of its own. Default 60. Administrators may go down to 1.",
    ),
  SQS_QUEUE_URL: queueConfig.shape.SQS_QUEUE_URL.optional().describe(
    "URL of the queue between dispatcher and executors, whose depth `/metrics` tells then; its dead-letter queue is the one with `-dlq`. Not set: nothing is told of the queue.",
  ),
  AWS_REGION: queueConfig.shape.AWS_REGION,
  AWS_ENDPOINT_URL: queueConfig.shape.AWS_ENDPOINT_URL,
  ...operationsConfig.shape,
  ...commonConfig.shape,
});

export type ApiConfig = z.output<typeof apiConfig>;
