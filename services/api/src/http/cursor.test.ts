import { expect, it } from "vitest";
import { formatCursor, parseCursor, toPage } from "./cursor.ts";
import { Problem } from "./problem.ts";

it("a cursor reads back as what it was made of, whatever the characters", () => {
  const cursor = ["0190", 'odd "name" / ü'] as const;
  expect(parseCursor(formatCursor(cursor), () => true)).toEqual(cursor);
});

it.each(["", "abc", "W10", formatCursor(["a", "b\0"]), Buffer.from('["a"]').toString("base64url")])(
  "%j is refused, and never reaches a statement",
  (text) => {
    expect(() => parseCursor(text, () => true)).toThrow(Problem);
  },
);

const page = (rows: string[]) =>
  toPage(
    rows,
    2,
    (row) => row,
    (row) => [row, ""],
  );

it("the extra row says that there is a next page, and is not on this one", () => {
  expect(page(["a", "b", "c"])).toEqual({ items: ["a", "b"], next_cursor: formatCursor(["b", ""]) });
  expect(page(["a", "b"])).toEqual({ items: ["a", "b"], next_cursor: null });
  expect(page([])).toEqual({ items: [], next_cursor: null });
});
