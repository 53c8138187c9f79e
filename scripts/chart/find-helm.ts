/**
 * Which helm to use: the one that HELM names, else one on the path that is new enough, else a fetched one. Run as a program it prints the path, for Makefile and shell.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { fetchHelm } from "./fetch-helm.ts";

/** 3.18 is the first whose messages about values that break the schema read as the checks expect them. */
const oldestVersion = [3, 18] as const;

let found: Promise<string> | undefined;

/** The path or name of a helm to run, the same for the life of the process. Throws a sentence that says what to install. */
export function findHelm(): Promise<string> {
  found ??= find();
  return found;
}

async function find(): Promise<string> {
  const named = process.env["HELM"];
  if (named !== undefined && named !== "") return named;
  return (await isNewEnough("helm")) ? "helm" : await fetchHelm();
}

async function isNewEnough(helm: string): Promise<boolean> {
  const answer = await promisify(execFile)(helm, ["version", "--template", "{{ .Version }}"]).catch(() => undefined);
  return answer !== undefined && isVersionNewEnough(answer.stdout);
}

/** Of `v4.1.4` or `v3.18.0+g1234`; anything that is no version is not new enough. */
export function isVersionNewEnough(version: string): boolean {
  const [, major, minor] = /^v(\d+)\.(\d+)\./.exec(version.trim()) ?? [];
  if (major === undefined || minor === undefined) return false;
  return Number(major) > oldestVersion[0] || (Number(major) === oldestVersion[0] && Number(minor) >= oldestVersion[1]);
}

if (import.meta.main) {
  try {
    process.stdout.write(`${await findHelm()}\n`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
