import { commonConfig, integer } from "@downbeat/runtime/config.ts";
import * as z from "zod";

/** What is not set is read from the `.downbeat/dev.json` that `downbeat dev` wrote. */
export const clientConfig = z
  .object({
    DOWNBEAT_URL: z
      .url({ protocol: /^https?$/, error: "expected a URL that starts with http:// or https://" })
      .optional()
      .describe("URL of the API, `http://host:port`. Default: that of `downbeat dev` in this clone."),
    DOWNBEAT_API_KEY: z
      .string()
      .optional()
      .describe("API key, as `downbeat keys create` prints it. Default: that of `downbeat dev`, for its own URL only."),
    DOWNBEAT_TENANT: z
      .string()
      .optional()
      .describe(
        "Slug of the tenant an administrator's key speaks for; `--tenant` wins over it. Default `demo` with the key of `downbeat dev`.",
      ),
  })
  .describe("downbeat schedules, downbeat runs");

export const databaseConfig = z
  .object({
    DATABASE_URL: z
      .string()
      .describe(
        "Postgres, `postgres://user:password@host:port/database`; for `downbeat migrate`, a login that may create roles or is a member of `downbeat_migrator`.",
      ),
  })
  .describe("downbeat migrate, downbeat keys");

const portOf = (what: string, port: number) =>
  integer(0, 65_535).default(port).describe(`TCP port of ${what} on 127.0.0.1, 0 takes a free one. Default ${port}.`);

export const devConfig = z
  .object({
    DOWNBEAT_API_PORT: portOf("the API", 4600),
    DOWNBEAT_POSTGRES_PORT: portOf("the embedded Postgres", 4601),
    DOWNBEAT_SQS_PORT: portOf("the embedded SQS server", 4602),
    DOWNBEAT_RECEIVER_PORT: portOf("the sample receiver", 4603),
    DOWNBEAT_STATE_DIR: z
      .string()
      .optional()
      .describe("Folder that keeps data, keys and log of `downbeat dev` between starts. Default: `.downbeat` in the clone."),
    ...commonConfig.shape,
  })
  .describe("downbeat dev, make dev");

export type DevConfig = z.output<typeof devConfig>;
