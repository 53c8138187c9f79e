/**
 * The chart as helm renders it, without a cluster. Checks and tests both read what people will install, never the templates.
 */
import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { findHelm } from "./find-helm.ts";

export const chartFolder = fileURLToPath(new URL("../../helm/downbeat", import.meta.url));

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  [field: string]: unknown;
}

export interface RenderOptions {
  /** Files as `helm --values` takes them, later ones winning. */
  valuesFiles?: readonly string[];
  /** Values above all files, as an object. */
  values?: unknown;
  /** Default `downbeat`. */
  release?: string;
  /** Default `local`. */
  namespace?: string;
}

/** Helm refused; the message is helm's own, as a person would read it. */
export class HelmRefusal extends Error {}

/** All manifests, hooks and tests included. Throws {@link HelmRefusal} when a guard or the values' schema refuses. */
export async function renderChart({ valuesFiles = [], values, release = "downbeat", namespace = "local" }: RenderOptions = {}): Promise<
  Manifest[]
> {
  const files = valuesFiles.flatMap((file) => ["--values", file]);
  // `-` is standard input: values need no temporary file, and no escaping as `--set` would.
  const above = values === undefined ? [] : ["--values", "-"];
  const text = await runHelm(["template", release, chartFolder, "--namespace", namespace, ...files, ...above], JSON.stringify(values));
  return readManifests(text);
}

/** Read as Kubernetes reads YAML, which is version 1.1: there `on` is a boolean, and a template that forgot its quotes shows. */
export function readManifests(text: string): Manifest[] {
  return parseAllDocuments(text, { version: "1.1" }).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    const manifest = document.toJS() as Manifest | null;
    return manifest === null ? [] : [manifest];
  });
}

/** Standard output of helm. Throws {@link HelmRefusal} with what it wrote to standard error. */
export async function runHelm(parameters: readonly string[], input = ""): Promise<string> {
  const helm = await findHelm();
  return new Promise((resolve, reject) => {
    const child = spawn(helm, parameters, { stdio: ["pipe", "pipe", "pipe"] });
    let output = "";
    let complaint = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve(output) : reject(new HelmRefusal(`${complaint}${output}`.trim()))));
    // Helm that ends before it has read its input has said why on standard error.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

/** The one-feature values files of `ci/`, by name, sorted. Throws when there is none, because a check of none would always pass. */
export async function listCiFiles(): Promise<{ name: string; path: string }[]> {
  const names = (await readdir(`${chartFolder}/ci`)).filter((name) => name.endsWith("-values.yaml")).sort();
  if (names.length === 0) throw new Error(`${chartFolder}/ci holds no file *-values.yaml`);
  return names.map((name) => ({ name, path: `${chartFolder}/ci/${name}` }));
}
