import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { type ServiceProcess, startServiceProcess } from "@downbeat/testkit/service-process.ts";
import { bundle } from "../../scripts/bundle.ts";

export type Entry = "dispatcher" | "executor" | "api" | "downbeat";

/** Where the bundled entries run. */
export interface Place {
  /** A folder that the started processes can read under the same path. */
  readonly folder: string;
  start(entry: Entry, parameters: readonly string[], environment: Readonly<Record<string, string>>): ServiceProcess;
  /** Folders of packages in which an entry could find what its bundle lacks. */
  findPackages(): Promise<string[]>;
  /** Leaves neither folder nor container. */
  remove(): Promise<void>;
}

/** The images named by `SCHEDULER_IMAGE` and `API_IMAGE`; without those, a folder laid out as they are. */
export async function openPlace(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), "downbeat-image-"));
  const { SCHEDULER_IMAGE: scheduler, API_IMAGE: api } = process.env;
  return scheduler === undefined || api === undefined ? inFolder(folder) : inContainers(folder, { scheduler, api });
}

async function inFolder(folder: string): Promise<Place> {
  await bundle(folder);
  return {
    folder,
    start: (entry, parameters, environment) =>
      startServiceProcess({
        name: [entry, ...parameters].join(" "),
        command: [process.execPath, join(folder, "lib", `${entry}.js`), ...parameters],
        // The tests' cache would fill up with code that no later run finds again.
        environment: { HOME: folder, NODE_ENV: "production", NODE_DISABLE_COMPILE_CACHE: "1", ...environment },
      }),
    async findPackages() {
      const folders: string[] = [];
      for (let above = join(folder, "lib"); above !== dirname(above); above = dirname(above)) folders.push(join(above, "node_modules"));
      return folders.filter((packages) => existsSync(packages));
    },
    remove: () => rm(folder, { recursive: true }),
  };
}

const run = promisify(execFile);

/** As a cluster's restricted pods run: another user than root, nothing to write to but `/tmp`, no capabilities. On the host's network, where the test's servers are. */
function inContainers(folder: string, images: { scheduler: string; api: string }): Place {
  const label = `downbeat-test=${randomUUID()}`;
  const restricted = ["--read-only", "--tmpfs", "/tmp", "--user", "1000", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
  const fixed = ["run", "--rm", "--label", label, "--network", "host", "--volume", `${folder}:${folder}:ro`, ...restricted];
  return {
    folder,
    start(entry, parameters, environment) {
      const variables = Object.entries(environment).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
      const image = entry === "api" ? images.api : images.scheduler;
      const program = entry === "downbeat" ? ["downbeat"] : ["node", `/app/lib/${entry}.js`];
      return startServiceProcess({
        name: [entry, ...parameters].join(" "),
        command: ["docker", ...fixed, ...variables, image, ...program, ...parameters],
        environment: whereTheEngineIs(),
      });
    },
    async findPackages() {
      const script = "ls -d /app/lib/node_modules /app/node_modules /node_modules /usr/local/lib/node_modules 2>/dev/null || true";
      const found = await Promise.all(Object.values(images).map((image) => run("docker", [...fixed, image, "sh", "-c", script])));
      return found.flatMap(({ stdout }) => stdout.split("\n").filter((line) => line !== ""));
    },
    async remove() {
      // The client may be killed where a test failed; its container goes on.
      const { stdout } = await run("docker", ["ps", "--all", "--quiet", "--filter", `label=${label}`]);
      const containers = stdout.split("\n").filter((line) => line !== "");
      if (containers.length > 0) await run("docker", ["rm", "--force", ...containers]);
      await rm(folder, { recursive: true });
    },
  };
}

function whereTheEngineIs(): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const name of ["HOME", "DOCKER_HOST", "DOCKER_CONTEXT"]) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
