import { createInterface } from "node:readline/promises";

/** True when a person sits before the command and can be asked. */
export function isInteractive(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** Asks on standard error, so that what a pipe gets stays clean. Anything but yes, the end of input too, is no. */
export async function confirm(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const closed = new Promise<string>((resolve) => lines.once("close", () => resolve("\n")));
    const answer = await Promise.race([lines.question(`${question} [y/N] `), closed]);
    if (answer === "\n") process.stderr.write(answer);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}

/** A line on standard error that is written over until it is done. Where that is no terminal, a line for each tenth of the way. */
export class ProgressLine {
  #tenth = -1;

  /** `share` from 0 to 1. */
  show(line: string, share: number): void {
    if (process.stderr.isTTY) return void process.stderr.write(`\r\u001B[2K${line}`);
    const tenth = Math.floor(share * 10);
    if (tenth !== this.#tenth) process.stderr.write(`${line}\n`);
    this.#tenth = tenth;
  }

  end(): void {
    if (process.stderr.isTTY) process.stderr.write("\n");
  }
}
