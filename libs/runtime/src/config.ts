import * as z from "zod";

/**
 * Configuration comes from environment variables and nowhere else. Each process declares one zod object whose keys are the
 * variables' names; every key carries `.describe("… unit, default, why …")`, from which `docs/configuration.md` is generated.
 */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Thrown when a variable is missing or wrong. The message names each variable, what was wrong and what would be right. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** Reads `schema` from `environment`. An empty or blank string counts as not set, as `VARIABLE= command` in a shell means it. */
export function readConfig<Schema extends z.ZodObject>(schema: Schema, environment: Environment): z.output<Schema> {
  const given: Record<string, string> = {};
  for (const key of Object.keys(schema.shape)) {
    const value = environment[key];
    if (value !== undefined && value.trim() !== "") given[key] = value;
  }
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => {
    const key = String(issue.path[0]);
    const isMissing = given[key] === undefined;
    const meaning = schema.shape[key]?.description ?? "";
    // The value itself is not repeated: it may be a password.
    return `${key} ${isMissing ? "is not set" : `is wrong: ${issue.message}`}. ${meaning}`;
  });
  throw new ConfigError(lines.join("\n"));
}

/** An integer variable within `[min, max]`. */
export function integer(min: number, max: number) {
  return z.coerce.number().int().min(min).max(max);
}

/** A yes/no variable: `true`, `1`, `yes`, `on` or `false`, `0`, `no`, `off`. */
export function flag() {
  return z.stringbool();
}

/** What every long-lived process has in common. */
export const commonConfig = z.object({
  LOG_LEVEL: z
    .enum(["trace", "debug", "info", "warn", "error", "fatal"])
    .default("info")
    .describe("Least severe level that is logged. Default `info`: one line per pass and per attempt."),
});

/** Of every long-lived process: where it answers Prometheus and the kubelet. */
export const operationsConfig = z.object({
  METRICS_PORT: integer(0, 65_535)
    .optional()
    .describe("Port that serves `/metrics`, `/livez` and `/readyz`; `0` takes a free one. Not set: none is opened. The chart sets 9464."),
  METRICS_HOST: z
    .string()
    .default("127.0.0.1")
    .describe("Address of that port. Default 127.0.0.1; `0.0.0.0` in a container, where the kubelet and Prometheus come from outside."),
});
