import type { FieldError } from "./problem.ts";

/** Deeper JSON is nobody's configuration, and would exhaust the stack of whoever walks it, Postgres included. */
const depthMax = 64;

/**
 * Finds the first part of a JSON value that Postgres cannot store: a NUL character, half of a surrogate pair, a number that became infinite, or too deep nesting. Such a
 * value would pass every schema and then fail as an error of the server, which it is not. Keys are looked at as well as values.
 */
export function findUnstorable(value: unknown, field: string, depth = 0): FieldError | undefined {
  if (depth > depthMax) return { field, message: `is nested deeper than ${depthMax} levels` };
  if (typeof value === "string")
    return isStorableText(value)
      ? undefined
      : { field, message: "holds a character that cannot be stored (NUL or half of a surrogate pair)" };
  if (typeof value === "number") return Number.isFinite(value) ? undefined : { field, message: "is a number too large to be represented" };
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, part] of Object.entries(value)) {
    if (!isStorableText(key))
      return { field, message: "has a key with a character that cannot be stored (NUL or half of a surrogate pair)" };
    const found = findUnstorable(part, field === "" ? key : `${field}.${key}`, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0");
}
