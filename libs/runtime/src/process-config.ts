import type * as z from "zod";
import { ConfigError, readConfig } from "./config.ts";

/** `readConfig` for a process's first line: a wrong variable ends it with exit code 2 and a message that says which and why. */
export function readProcessConfig<Schema extends z.ZodObject>(schema: Schema): z.output<Schema> {
  try {
    return readConfig(schema, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
}
