import { ConfigError } from "@downbeat/runtime/config.ts";
import { describeError } from "@downbeat/runtime/log.ts";
import { printable } from "./printable.ts";

/** Exit codes of every command. */
export const exitCodes = { ok: 0, failed: 1, wrongUsage: 2 } as const;

/** Ends a command with lines that people read. Each line stands for itself and says what to do where that is known. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly exitCode: number;

  constructor(message: string, options: { exitCode?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode ?? exitCodes.failed;
  }
}

/** Wrong arguments: exit code 2. */
export function wrongUsage(message: string): Failure {
  return new Failure(message, { exitCode: exitCodes.wrongUsage });
}

/** What is printed for an error, line by line, and the exit code it means. Stacks stay out of it: nobody who runs a command can act on one. */
export function explainFailure(error: unknown): { lines: string[]; exitCode: number } {
  const exitCode = error instanceof Failure ? error.exitCode : error instanceof ConfigError ? exitCodes.wrongUsage : exitCodes.failed;
  const text = error instanceof Failure || error instanceof ConfigError ? error.message : explainSystemError(error);
  return {
    lines: text
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map(printable),
    exitCode,
  };
}

/** Errors of Postgres, the queue and the system, with the address where they carry one. Always one line. */
function explainSystemError(error: unknown): string {
  const { code, address, port } = (typeof error === "object" && error !== null ? error : {}) as {
    code?: string;
    address?: string;
    port?: number;
  };
  if (code === "ECONNREFUSED")
    return `nothing answers at ${address ?? "the address"}${port === undefined ? "" : `:${port}`}. Is it running?`;
  return describeError(error).replaceAll(/\s*\n\s*/g, " ");
}
