import { printable } from "./printable.ts";

export interface Column<Row> {
  title: string;
  value: (row: Row) => string | number | null | undefined;
  align?: "left" | "right";
  /** For tables that grow while they are watched: the width cannot wait for the rows to come. */
  minWidth?: number;
}

const gap = "  ";

/** A heading and one line for each row, columns aligned. A value that is absent shows as `-`. */
export function formatTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string[] {
  const cells = rows.map((row) => columns.map((column) => cell(column, row)));
  const widths = columns.map((column, index) =>
    Math.max(column.minWidth ?? 0, column.title.length, ...cells.map((line) => line[index]?.length ?? 0)),
  );
  return [columns.map((column) => column.title.toUpperCase()), ...cells].map((line) => formatLine(line, columns, widths));
}

/** One line of a table whose other lines are not known yet. */
export function formatRow<Row>(row: Row, columns: readonly Column<Row>[]): string {
  return formatLine(
    columns.map((column) => cell(column, row)),
    columns,
    columns.map((column) => Math.max(column.minWidth ?? 0, column.title.length)),
  );
}

function cell<Row>(column: Column<Row>, row: Row): string {
  const value = column.value(row);
  return value === null || value === undefined || value === "" ? "-" : printable(String(value));
}

function formatLine<Row>(line: readonly string[], columns: readonly Column<Row>[], widths: readonly number[]): string {
  return line
    .map((text, index) => (columns[index]?.align === "right" ? text.padStart(widths[index] ?? 0) : text.padEnd(widths[index] ?? 0)))
    .join(gap)
    .trimEnd();
}
