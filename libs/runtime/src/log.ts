import pino from "pino";

export type Log = pino.Logger;

/**
 * Paths that never reach a log line, in the line itself or in an object on it. A second line of defence: code does not log these on purpose,
 * but an error object of a library may carry a request with its headers.
 */
const redactedPaths = [
  "secret",
  "secrets",
  "authorization",
  "password",
  "headers.authorization",
  "req.headers.authorization",
  "*.secret",
  "*.secrets",
  "*.authorization",
  "*.password",
];

/**
 * One JSON object a line on standard output. `role` names the process (`dispatcher`, `executor`, `api`, `cli`).
 * Exactly one wide line is written per pass and per attempt; everything else is a change of condition.
 */
export function createLog(role: string, level: string, destination?: pino.DestinationStream): Log {
  const options: pino.LoggerOptions = {
    level,
    base: { role },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: redactedPaths, censor: "[redacted]" },
    serializers: { err: errorForLog, error: errorForLog },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/** What a log line says of an error: its name, code and message, and the stack only where it is a bug. */
export function errorForLog(error: unknown): { name: string; message: string; code?: string; stack?: string } {
  if (!(error instanceof Error)) return { name: "unknown", message: String(error) };
  const code = (error as { code?: unknown }).code;
  const isBug = error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError;
  return {
    name: error.name,
    message: describeError(error),
    ...(typeof code === "string" ? { code } : {}),
    ...(isBug && error.stack !== undefined ? { stack: error.stack } : {}),
  };
}

/** One line of text for an error, also for those (`AggregateError`) that keep their message in their parts. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(describeError).join("; ");
  if (error instanceof Error) return error.message === "" ? error.name : error.message;
  return String(error);
}
