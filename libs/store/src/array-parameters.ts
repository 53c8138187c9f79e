/**
 * How arrays travel as parameters. postgres.js would ask each new connection for the server's array types, with a query whose failure nobody catches: a connection that is cut in that
 * moment would end the process. The types of our parameters are built in and their numbers never change, so they stand here.
 */
type Element = string | number | boolean | null;

/** Postgres's text form of an array. Every element is quoted, so no content can end it early. */
export function serializeArray(elements: readonly Element[]): string {
  const parts = elements.map((element) =>
    element === null ? "NULL" : `"${String(element).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`,
  );
  return `{${parts.join(",")}}`;
}

/** Numbers of the built-in array types (`select oid from pg_type where typname = '_uuid'` …). */
const arrayTypes = { boolean: 1000, smallint: 1005, integer: 1007, text: 1009, bigint: 1016, double: 1022, timestamptz: 1185, uuid: 2951 };

const parameterType = (number: number) => ({ to: number, from: [], serialize: serializeArray, parse: (text: string) => text });

export const arrayParameters = Object.fromEntries(Object.entries(arrayTypes).map(([name, number]) => [name, parameterType(number)]));
