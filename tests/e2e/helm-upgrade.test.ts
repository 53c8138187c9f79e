import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { createKubectl } from "./kubectl.ts";
import { isOnCluster } from "./system.ts";

const execute = promisify(execFile);
const chart = fileURLToPath(new URL("../../helm/downbeat", import.meta.url));

interface Secret {
  data: Record<string, string>;
}

test.skipIf(!isOnCluster)(
  "upgrading the release keeps the secrets it generated when it was installed",
  { timeout: 600_000 },
  async ({ skip }) => {
    const hasHelm = await execute("helm", ["version"]).then(
      () => true,
      () => false,
    );
    if (!hasHelm) return skip("helm is not on the path");
    const kubectl = await createKubectl();
    const release = await kubectl.run([
      "get",
      "deployment",
      "schedule-executor",
      "-o",
      "jsonpath={.metadata.labels.app\\.kubernetes\\.io/instance}",
    ]);
    const before = await kubectl.get<Secret>(["secret", "downbeat-secrets"]);
    const [, context = ""] = kubectl.target;
    const where = ["--kube-context", context, "--namespace", kubectl.namespace];
    await execute("helm", ["upgrade", release, chart, ...where, "--reset-then-reuse-values", "--wait", "--timeout", "5m"]);
    const after = await kubectl.get<Secret>(["secret", "downbeat-secrets"]);
    expect(Object.keys(after.data)).toContain("secret-keys");
    expect(after.data).toEqual(before.data);
  },
);
