import { Problem } from "./problem.ts";

/** Where a page ends: the sort key of its last row. Opaque to clients, which is what lets the sort key change. */
export type Cursor = readonly [string, string];

export function formatCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString("base64url");
}

/** Reads what `formatCursor` wrote. Whatever else is given is the caller's mistake, and never reaches a statement. */
export function parseCursor(text: string | undefined, isValid: (cursor: Cursor) => boolean): Cursor | undefined {
  if (text === undefined) return undefined;
  try {
    const cursor: unknown = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    if (isPair(cursor) && isValid(cursor)) return cursor;
  } catch {
    // Not JSON: refused like every other text that is no cursor.
  }
  throw new Problem("invalid_request", { errors: [{ field: "cursor", message: "is not a cursor of this list" }] });
}

function isPair(value: unknown): value is Cursor {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    value.every((part) => typeof part === "string" && part.isWellFormed() && !part.includes("\0"))
  );
}

/** Cuts a result that was read with `limit + 1` rows to a page. */
export function toPage<Row, Item>(rows: readonly Row[], limit: number, toItem: (row: Row) => Item, cursorOf: (row: Row) => Cursor) {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { items: page.map(toItem), next_cursor: rows.length > limit && last !== undefined ? formatCursor(cursorOf(last)) : null };
}
