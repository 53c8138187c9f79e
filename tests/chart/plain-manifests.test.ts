import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { listPodProblems } from "../../scripts/chart/pod-policy.ts";
import { readManifests } from "../../scripts/chart/render.ts";
import { validateManifest } from "../../scripts/chart/validate-manifest.ts";
import { chartFile, Rendering } from "./render-chart.ts";

const root = new URL("../../", import.meta.url);

test("deploy/local/schedule-trigger.yaml holds the seed's three objects, is valid, and carries no secret", async () => {
  const manifests = readManifests(await readFile(new URL("deploy/local/schedule-trigger.yaml", root), "utf8"));
  const plain = new Rendering(manifests);
  for (const [kind, name] of [
    ["CronJob", "schedule-dispatcher"],
    ["Deployment", "schedule-executor"],
    ["ConfigMap", "scheduler-env"],
  ] as const)
    expect(plain.has(kind, name)).toBe(true);
  expect(plain.all("Secret")).toEqual([]);
  for (const manifest of manifests) expect([...(await validateManifest(manifest)), ...listPodProblems(manifest)]).toEqual([]);
});

test("The Secret that its head comment makes has every key that its pods read", async () => {
  const text = await readFile(new URL("deploy/local/schedule-trigger.yaml", root), "utf8");
  const head = text.slice(0, text.indexOf("\n---"));
  const made = [...head.matchAll(/--from-literal=([^=]+)=/g)].flatMap(([, key = ""]) => {
    const [, choices, rest = ""] = /^\{([^}]+)\}(.*)$/.exec(key) ?? [];
    return choices === undefined ? [key] : choices.split(",").map((choice) => `${choice}${rest}`);
  });
  const read = new Rendering(readManifests(text)).containers.flatMap(({ container: { env = [] } }) =>
    env.flatMap(({ valueFrom }) => (valueFrom?.["secretKeyRef"]?.name === "downbeat-secrets" ? [valueFrom["secretKeyRef"].key ?? ""] : [])),
  );
  expect(new Set(made)).toEqual(new Set(read));
});

test("The bundled queue is set up by the same scripts as LocalStack outside the cluster", async () => {
  const folder = new URL("localstack/init/ready.d/", root);
  const scripts = (await readdir(folder)).filter((name) => name.endsWith(".sh"));
  expect(scripts).not.toEqual([]);
  expect((await readdir(chartFile("files"))).filter((name) => name.endsWith(".sh"))).toEqual(scripts);
  for (const name of scripts)
    expect(await readFile(chartFile(`files/${name}`), "utf8")).toBe(await readFile(new URL(name, folder), "utf8"));
});
