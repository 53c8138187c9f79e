/**
 * Part of `make check`: the chart is linted, and each values file of `helm/downbeat/ci/` is rendered by the real helm; every manifest that comes out is held against the
 * schema of its kind, the pod policy (K1) and the ban on AWS keys (K3).
 */
import { listAwsKeys } from "./aws-keys.ts";
import { listPodProblems } from "./pod-policy.ts";
import { chartFolder, listCiFiles, renderChart, runHelm, type Manifest } from "./render.ts";
import { validateManifest } from "./validate-manifest.ts";

/** The linter looks at the chart more than at values, and takes longer than rendering: the two ways to install suffice. */
const linted = ["aws-minimal-values.yaml", "bundled-values.yaml"];

const files = await listCiFiles();
// A helm runs for a tenth of a second on one core, so all of them at once cost less than taking turns.
const problems = (await Promise.all([...linted.map((name) => lint(name)), ...files.map(({ name, path }) => checkFile(name, path))])).flat();

if (problems.length === 0) process.stdout.write(`note: ${files.length} values files\n`);
else {
  process.stderr.write(`${problems.join("\n")}\n`);
  process.exitCode = 1;
}

async function lint(name: string): Promise<string[]> {
  return runHelm(["lint", "--strict", chartFolder, "--values", `${chartFolder}/ci/${name}`]).then(
    () => [],
    (error: Error) => [`helm lint with ci/${name}: ${error.message}`],
  );
}

async function checkFile(name: string, path: string): Promise<string[]> {
  try {
    const manifests = await renderChart({ valuesFiles: [path] });
    const perManifest = await Promise.all(manifests.map((manifest) => checkManifest(manifest)));
    return [...perManifest.flat(), ...listAwsKeys(manifests)].map((problem) => `ci/${name}: ${problem}`);
  } catch (error) {
    return [`ci/${name}: ${error instanceof Error ? error.message : String(error)}`];
  }
}

async function checkManifest(manifest: Manifest): Promise<string[]> {
  const found = [...(await validateManifest(manifest)), ...listPodProblems(manifest)];
  return found.map((problem) => `${manifest.kind} ${manifest.metadata.name}: ${problem}`);
}
