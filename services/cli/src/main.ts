/** The process behind `downbeat`: runs one command and turns whatever goes wrong into lines on standard error and an exit code. */
import { CommanderError } from "commander";
import type { Cli } from "./cli.ts";
import { exitCodes, explainFailure } from "./failure.ts";
import { buildProgram } from "./program.ts";

const cli: Cli = {
  environment: process.env,
  print: (line) => process.stdout.write(`${line}\n`),
  remark: (line) => process.stderr.write(`${line}\n`),
};

// `downbeat runs list | head` closes the pipe early; that is not an error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(exitCodes.ok);
});

try {
  await buildProgram(cli).parseAsync(process.argv);
} catch (error) {
  process.exitCode = endOf(error);
}

function endOf(error: unknown): number {
  // Commander has printed its line (or the help that was asked for) already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.wrongUsage;
  const { lines, exitCode } = explainFailure(error);
  for (const line of lines) cli.remark(`error: ${line}`);
  return exitCode;
}
