/** Which metrics of ours an expression of Prometheus names, and where a Grafana dashboard keeps its expressions. */

/** Metrics that begin with `downbeat_`, and recorded series (`level:downbeat_metric:operation`), as they are written. */
export function listMetrics(expression: string): string[] {
  // Label values and comments may name anything.
  const bare = expression.replaceAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|#.*$/gm, "");
  return (bare.match(/[a-zA-Z_:][a-zA-Z0-9_:]*/g) ?? []).filter((word) => /(^|:)downbeat_/.test(word));
}

/** Every `expr` and every variable's `query` or `definition` in a dashboard, however deep its rows are nested. */
export function listExpressions(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, field]) =>
    typeof field === "string" ? (["expr", "query", "definition"].includes(key) ? [field] : []) : listExpressions(field),
  );
}
