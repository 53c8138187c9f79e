/**
 * Part of `make check`: alert rules and dashboards speak only of metrics that `docs/metrics.md` describes, each alert says how bad it is and leads to a chapter that
 * exists, and, where `promtool` is installed (Debian's package `prometheus`), Prometheus itself reads the rules and runs their tests.
 */
import { spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { listExpressions, listMetrics } from "./named-metrics.ts";
import { chartFolder } from "./render.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const testsFolder = `${root}deploy/monitoring`;

interface Rule {
  alert?: string;
  record?: string;
  expr?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

const ruleFiles = await listFiles(`${chartFolder}/rules`, ".yaml");
const dashboardFiles = await listFiles(`${chartFolder}/dashboards`, ".json");
const rules = (await Promise.all(ruleFiles.map((file) => readRules(file)))).flat();
const problems = [
  ...rules.flatMap((rule) => listMissing(rule)),
  ...(await listDeadLinks()),
  ...(await listUnknownMetrics()),
  ...(ruleFiles.length === 0 ? ["helm/downbeat/rules holds no rules"] : []),
];
const promtool = await askPromtool();

if (problems.length + promtool.problems.length > 0) {
  process.stderr.write(`${[...problems, ...promtool.problems].join("\n")}\n`);
  process.exitCode = 1;
} else process.stdout.write(`note: ${promtool.note}\n`);

async function readRules(file: string): Promise<Rule[]> {
  const { groups = [] } = parse(await readFile(file, "utf8")) as { groups?: { rules?: Rule[] }[] };
  return groups.flatMap(({ rules: ofGroup = [] }) => ofGroup);
}

function listMissing(rule: Rule): string[] {
  const name = rule.alert ?? rule.record ?? "a rule without a name";
  const wanted: [string, unknown][] = [["expr", rule.expr]];
  if (rule.alert !== undefined)
    wanted.push(
      ["labels.severity", rule.labels?.["severity"]],
      ...["summary", "description", "runbook"].map((key): [string, unknown] => [`annotations.${key}`, rule.annotations?.[key]]),
    );
  return wanted.filter(([, value]) => value === undefined || value === "").map(([key]) => `${name} has no ${key}`);
}

/** `docs/failure-modes.md#downbeatnopass` must be a heading of that file, spelled as GitHub makes anchors of headings. */
async function listDeadLinks(): Promise<string[]> {
  const links = rules.flatMap(({ alert = "", annotations }) =>
    annotations?.["runbook"] === undefined ? [] : [{ alert, link: annotations["runbook"] }],
  );
  const anchors = new Map<string, Set<string>>();
  for (const file of new Set(links.map(({ link }) => link.split("#")[0] ?? ""))) anchors.set(file, await readAnchors(file));
  return links
    .filter(({ link }) => anchors.get(link.split("#")[0] ?? "")?.has(link.split("#")[1] ?? "") !== true)
    .map(({ alert, link }) => `${alert} leads to ${link}, which is not there`);
}

async function readAnchors(file: string): Promise<Set<string>> {
  const text = await readFile(`${root}${file}`, "utf8").catch(() => "");
  const anchorOf = (heading: string) =>
    heading
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-");
  return new Set([...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading)));
}

async function listUnknownMetrics(): Promise<string[]> {
  const described = new Set((await readFile(`${root}docs/metrics.md`, "utf8").catch(() => "")).match(/\bdownbeat_[a-z0-9_]+/g));
  const recorded = new Set(rules.map(({ record }) => record));
  const dashboards = await Promise.all(dashboardFiles.map(async (file) => JSON.parse(await readFile(file, "utf8")) as unknown));
  const named = [...rules.map(({ expr = "" }) => expr), ...listExpressions(dashboards)].flatMap((expression) => listMetrics(expression));
  return [...new Set(named)]
    .filter((metric) =>
      metric.includes(":") ? !recorded.has(metric) : !described.has(metric) && !described.has(metric.replace(/_(bucket|sum|count)$/, "")),
    )
    .map((metric) => (metric.includes(":") ? `no rule records ${metric}` : `docs/metrics.md does not describe ${metric}`));
}

async function askPromtool(): Promise<{ problems: string[]; note: string }> {
  const tests = await listFiles(testsFolder, ".test.yaml");
  const answers = await Promise.all([
    run("promtool", ["check", "rules", ...ruleFiles]),
    ...(tests.length > 0 ? [run("promtool", ["test", "rules", ...tests])] : []),
  ]);
  if (answers.includes(undefined)) return { problems: [], note: "promtool skipped (not installed)" };
  return { problems: answers.flatMap((answer) => (answer?.isOk === false ? [answer.output.trimEnd()] : [])), note: "with promtool" };
}

/** Undefined when the program is not installed. */
function run(program: string, parameters: readonly string[]): Promise<{ isOk: boolean; output: string } | undefined> {
  return new Promise((resolve) => {
    const child = spawn(program, parameters, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.once("error", () => resolve(undefined));
    child.once("close", (code) => resolve({ isOk: code === 0, output }));
  });
}

async function listFiles(folder: string, ending: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => `${folder}/${name}`);
}
