import { expect, test } from "vitest";
import { listExpressions, listMetrics } from "../../scripts/chart/named-metrics.ts";

test("Every metric that an alert or a dashboard names is seen, and nothing that only looks like one", () => {
  expect(
    listMetrics(`histogram_quantile(0.99, sum by (le, downbeat) (rate(downbeat_start_lag_seconds_bucket{a="downbeat_x"}[5m]))) > 1 # downbeat_y
      and on () namespace:downbeat_slots:ratio and up{job=~'downbeat_z'}`),
  ).toEqual(["downbeat_start_lag_seconds_bucket", "namespace:downbeat_slots:ratio"]);
});

test("Expressions are found in panels inside rows and in variables", () => {
  const dashboard = {
    templating: { list: [{ query: { query: "label_values(a)" }, definition: "b" }] },
    panels: [{ type: "row", panels: [{ targets: [{ expr: "c", legendFormat: "d" }] }] }, { targets: [{ expr: "e" }] }],
  };
  expect(listExpressions(dashboard)).toEqual(["label_values(a)", "b", "c", "e"]);
});
