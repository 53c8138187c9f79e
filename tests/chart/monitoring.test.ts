import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { listMetrics } from "../../scripts/chart/named-metrics.ts";

/** What `promtool` and `make check` cannot see: whether every alert is tested both ways, and whether the dashboard would look right in a Grafana that nobody has here. */

interface Rule {
  alert?: string;
  record?: string;
  expr: string;
}
interface AlertTest {
  alertname: string;
  exp_alerts: unknown[];
}
interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  datasource?: unknown;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { refId: string; expr: string; datasource: unknown }[];
  fieldConfig?: { defaults: { unit?: string } };
  options?: { yAxis?: { unit?: string } };
}
interface Dashboard {
  uid: string;
  panels: Panel[];
  templating: { list: { name: string; type: string }[] };
}

const read = (path: string) => readFile(fileURLToPath(new URL(`../../${path}`, import.meta.url)), "utf8");
const { groups } = parse(await read("helm/downbeat/rules/downbeat.rules.yaml")) as { groups: { name: string; rules: Rule[] }[] };
const ruleTests = parse(await read("deploy/monitoring/downbeat.rules.test.yaml")) as {
  group_eval_order: string[];
  tests: { alert_rule_test?: AlertTest[] }[];
};
const dashboard = JSON.parse(await read("helm/downbeat/dashboards/downbeat.json")) as Dashboard;
const failureModes = await read("docs/failure-modes.md");

const alerts = new Set(groups.flatMap(({ rules }) => rules.flatMap(({ alert }) => alert ?? [])));

describe("alerts", () => {
  const alertTests = ruleTests.tests.flatMap(({ alert_rule_test = [] }) => alert_rule_test);

  test.each([...alerts])("%s is tested both ways: when it fires, and when it does not", (alert) => {
    const expectations = alertTests.filter(({ alertname }) => alertname === alert).map(({ exp_alerts }) => exp_alerts.length);
    expect(Math.max(...expectations)).toBeGreaterThan(0);
    expect(Math.min(...expectations)).toBe(0);
  });

  test("no test is about an alert that does not exist, which would never fire", () => {
    expect(alertTests.map(({ alertname }) => alertname).filter((name) => !alerts.has(name))).toEqual([]);
  });

  test("the tests evaluate every group, recorded series first", () => {
    expect(ruleTests.group_eval_order).toEqual(groups.map(({ name }) => name));
    expect(groups.findIndex(({ rules }) => rules.some(({ record }) => record !== undefined))).toBe(0);
  });

  test("the chapters of docs/failure-modes.md on alerts are those of the alerts that exist", () => {
    const chapters = [...failureModes.matchAll(/^### (Downbeat\w+)$/gm)].map(([, name]) => name ?? "");
    expect(new Set(chapters)).toEqual(alerts);
    expect(chapters.length).toBe(alerts.size);
  });

  test("every alert keeps installations apart", () => {
    const mixed = groups.flatMap(({ rules }) => rules).filter(({ expr }) => !expr.includes("(namespace") && !expr.startsWith("namespace:"));
    expect(mixed).toEqual([]);
  });
});

describe("the dashboard", () => {
  const panels = dashboard.panels.filter(({ type }) => type !== "row");

  test("needs no plug-in: every panel is one of Grafana's own", () => {
    expect(new Set(dashboard.panels.map(({ type }) => type))).toEqual(new Set(["row", "stat", "timeseries", "heatmap"]));
  });

  test("panels lie side by side within 24 columns, none over another, and each has its own id", () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...dashboard.panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  });

  test.each(panels)("$title says what it shows and in which unit, and asks the data source that was chosen", (panel) => {
    const { description, fieldConfig, options, datasource, targets = [] } = panel;
    expect(description).toMatch(/\.$/);
    expect(fieldConfig?.defaults.unit ?? options?.yAxis?.unit).toBeTypeOf("string");
    expect(targets.length).toBeGreaterThan(0);
    expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
    for (const asked of [datasource, ...targets.map((target) => target.datasource)]) {
      expect(asked).toEqual({ type: "prometheus", uid: "${datasource}" });
    }
  });

  test("data source and namespace are chosen at the top", () => {
    expect(dashboard.templating.list.map(({ name, type }) => [name, type])).toEqual([
      ["datasource", "datasource"],
      ["namespace", "query"],
    ]);
  });

  test("every series is of the namespace that was chosen", () => {
    const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    // Joined by namespace and pod to a series that is.
    const bare = expressions.map((expr) => expr.replaceAll("and on (namespace, pod) downbeat_build_info", ""));
    expect(
      bare.filter((expr) => (expr.match(/\b(downbeat|kube|nodejs|process)_\w+(?!\w*\{namespace="\$namespace")\b/g) ?? []).length > 0),
    ).toEqual([]);
  });

  test("its first row answers whether it is dispatching, on time, and accounted for", () => {
    const [first, ...rest] = dashboard.panels;
    const top = rest.slice(
      0,
      rest.findIndex(({ type }) => type === "row"),
    );
    expect(first?.type).toBe("row");
    expect(top.map(({ type }) => type)).toEqual(Array(8).fill("stat"));
    expect(new Set(top.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => listMetrics(expr))))).toEqual(
      new Set([
        "downbeat_last_pass_age_seconds",
        "downbeat_passes_last_5m",
        "downbeat_start_lag_seconds_bucket",
        "downbeat_overdue_runs",
        "downbeat_overdue_schedules_age_seconds",
        "downbeat_queue_messages",
        "downbeat_audit_difference_occurrences",
        "downbeat_slots_in_use",
        "downbeat_slots",
      ]),
    );
  });
});
