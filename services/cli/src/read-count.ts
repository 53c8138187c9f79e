import { InvalidArgumentError } from "commander";

/** Reads the value of an option like `--limit`. */
export function readCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError("It must be a whole number from 1.");
  return count;
}
