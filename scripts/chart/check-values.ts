/**
 * Part of `make check`: every key of the chart's values is documented and stands in `values.schema.json`, every property of the schema stands in the values, and no
 * object of the schema lets a misspelled key pass. Whoever reads one of the three has then read all of them.
 */
import { readFile } from "node:fs/promises";
import { readValues, type ChartValue } from "./read-values.ts";
import { chartFolder } from "./render.ts";
import { Schema } from "./values-schema.ts";

const values = readValues(await readFile(`${chartFolder}/values.yaml`, "utf8"));
const schema = new Schema(JSON.parse(await readFile(`${chartFolder}/values.schema.json`, "utf8")));

const problems = [...listUndocumented(values), ...listOutsideSchema(values), ...listOutsideValues(values), ...listOpenObjects()];
if (problems.length > 0) {
  process.stderr.write(`${problems.join("\n")}\n`);
  process.exitCode = 1;
} else process.stdout.write(`note: ${values.length} keys\n`);

/** A documented map speaks for what it holds; a map that is only a folder needs no words of its own. */
function listUndocumented(all: readonly ChartValue[]): string[] {
  const documented = new Set(all.filter(({ meaning }) => meaning !== undefined).map(({ path }) => path));
  const isLeaf = (value: unknown) => typeof value !== "object" || value === null || Array.isArray(value) || Object.keys(value).length === 0;
  return all
    .filter((value) => isLeaf(value.default) && !pathAndParents(value.path).some((path) => documented.has(path)))
    .map(({ path }) => `values.yaml: ${path} has no comment that begins with "# -- "`);
}

function listOutsideSchema(all: readonly ChartValue[]): string[] {
  return all
    .filter(({ path }) => schema.find(path) === undefined)
    .map(({ path }) => `values.schema.json: ${path} of values.yaml is missing`);
}

/** A documented map (`resources`, `tolerations: []`) may hold whatever its schema describes; the default need not spell it out. `global` is Helm's own. */
function listOutsideValues(all: readonly ChartValue[]): string[] {
  const known = new Map(all.map((value) => [value.path, value]));
  return schema
    .listPaths()
    .filter(
      (path) =>
        path !== "global" &&
        !pathAndParents(path).some((parent) => (parent === path ? known.has(path) : known.get(parent)?.meaning !== undefined)),
    )
    .map((path) => `values.yaml: ${path} of values.schema.json is missing`);
}

function listOpenObjects(): string[] {
  return schema
    .listOpenObjects()
    .map(
      (path) =>
        `values.schema.json: ${path || "the top"} lists properties but not "additionalProperties": false, so a misspelled key passes`,
    );
}

function pathAndParents(path: string): string[] {
  const parts = path.split(".");
  return parts.map((_, index) => parts.slice(0, index + 1).join("."));
}
