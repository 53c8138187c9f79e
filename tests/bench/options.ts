/** A bench's number from the environment (`make bench-pipeline N=10000`), or an error that says what would be right. */
export function numberOption(name: string, fallback: number, min: number, max: number): number {
  const text = process.env[name];
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  process.stderr.write(`${name}=${text} is wrong: give a whole number from ${min} to ${max}\n`);
  process.exit(2);
}
