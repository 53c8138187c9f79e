import { createLog, type Log } from "@downbeat/runtime/log.ts";

export interface CapturedLine {
  level: string;
  msg: string;
  [field: string]: unknown;
}

export interface CapturedLog {
  readonly log: Log;
  /** What was logged so far, parsed from the very lines a process would print. */
  readonly lines: readonly CapturedLine[];
}

/** A real log that writes into memory, so that a test can count its lines and look for what must not be in them. */
export function captureLog(level = "debug"): CapturedLog {
  const lines: CapturedLine[] = [];
  const log = createLog("test", level, { write: (line: string) => void lines.push(JSON.parse(line) as CapturedLine) });
  return { log, lines };
}
