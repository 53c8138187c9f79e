import { closeSync, openSync, renameSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { printable } from "../printable.ts";

/** A start after this much begins a new file; one old file is kept. */
const bytesMax = 10 * 1024 * 1024;

export interface DevLog {
  readonly path: string;
  /** Takes JSON lines, as pino writes them. */
  write(line: string): void;
  close(): void;
}

/**
 * Where the services' JSON logs go: the file `dev.log`, and to the terminal what a person should see there, warnings and errors, as one readable line each.
 */
export function openDevLog(folder: string, print: (line: string) => void): DevLog {
  const path = join(folder, "dev.log");
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > bytesMax) renameSync(path, `${path}.1`);
  const file = openSync(path, "a", 0o644);
  let isOpen = true;
  return {
    path,
    write(line) {
      // Written at once: what a killed process said last is what one wants to read.
      if (isOpen) writeSync(file, line);
      const readable = readableLine(line);
      if (readable !== undefined) print(readable);
    },
    close() {
      isOpen = false;
      closeSync(file);
    },
  };
}

const shownLevels = new Set(["warn", "error", "fatal"]);

/** A warning elsewhere, the whole point here: the receiver is on this machine. */
const expected = "ALLOW_PRIVATE_TARGETS is on";

/** `warn  dispatcher: cannot dispatch: …` for a JSON line worth a person's attention, else undefined. */
export function readableLine(json: string): string | undefined {
  // Most lines are `info`: they are not worth parsing.
  if (json.includes('"level":"info"') || json.includes('"level":"debug"')) return undefined;
  try {
    const { level, role, msg } = JSON.parse(json) as { level?: string; role?: string; msg?: string };
    if (level === undefined || !shownLevels.has(level) || msg?.startsWith(expected) === true) return undefined;
    return `${level}  ${role ?? "downbeat"}: ${printable(msg ?? "")}`;
  } catch {
    return undefined;
  }
}
