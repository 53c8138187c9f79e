import { expect, test } from "vitest";
import { type Column, formatRow, formatTable } from "./format-table.ts";

interface Row {
  name: string;
  count: number | null;
}

const columns: Column<Row>[] = [
  { title: "name", value: (row) => row.name },
  { title: "count", value: (row) => row.count, align: "right" },
];

test("columns line up, numbers at the right, and a line has no blanks at its end", () => {
  const lines = formatTable(
    [
      { name: "a", count: 5 },
      { name: "longer", count: 12_345 },
    ],
    columns,
  );
  expect(lines).toEqual(["NAME    COUNT", "a           5", "longer  12345"]);
});

test("an absent value shows as a dash, zero as zero", () => {
  expect(
    formatTable(
      [
        { name: "", count: null },
        { name: "x", count: 0 },
      ],
      columns,
    ),
  ).toEqual(["NAME  COUNT", "-         -", "x         0"]);
});

test("a name cannot rearrange the terminal", () => {
  expect(formatTable([{ name: "a\u001b[2J\nb", count: 1 }], columns)[1]).toBe("a [2J b      1");
});

test("a row of a table that grows lines up with its heading", () => {
  const [heading] = formatTable<Row>([], columns);
  expect(formatRow({ name: "a", count: 1 }, columns).length).toBe(heading?.length);
});
