import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { HelmRefusal, renderChart } from "../../scripts/chart/render.ts";
import { chartFile } from "./render-chart.ts";

interface Negative {
  name: string;
  values: object;
  /** What helm's message must say. */
  message: string;
}

const negatives = parse(readFileSync(chartFile("tests/negatives.yaml"), "utf8")) as Negative[];

test.each(negatives)("Refused with a sentence: $name", async ({ values, message }) => {
  const refusal = await renderChart({ values }).then(
    () => "nothing was refused",
    (error: unknown) => (error instanceof HelmRefusal ? error.message : String(error)),
  );
  expect(refusal).toContain(message);
});

test("The table of refused values names each case once", () => {
  const names = negatives.map(({ name }) => name);
  expect(names).not.toEqual([]);
  expect(new Set(names).size).toBe(names.length);
});
