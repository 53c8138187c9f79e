import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";

/** `kubectl`, held to one context and one namespace: switching contexts in another terminal sends nothing elsewhere. */
export interface Kubectl {
  /** What every call begins with. */
  readonly target: readonly string[];
  readonly namespace: string;
  /** Answers standard output. Throws with what kubectl said. */
  run(parameters: readonly string[], input?: string): Promise<string>;
  /** `get … -o json` */
  get<Answer>(parameters: readonly string[]): Promise<Answer>;
  apply(objects: readonly object[]): Promise<void>;
}

export async function createKubectl(): Promise<Kubectl> {
  const context = process.env["E2E_CONTEXT"] || (await execute(["config", "current-context"])).trim();
  const namespace = process.env["E2E_NAMESPACE"] || "local";
  const target = ["--context", context, "--namespace", namespace];
  const run = (parameters: readonly string[], input?: string) => execute([...target, ...parameters], input);
  return {
    target,
    namespace,
    run,
    get: async <Answer>(parameters: readonly string[]) => JSON.parse(await run(["get", ...parameters, "-o", "json"])) as Answer,
    apply: async (objects) => void (await run(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }))),
  };
}

const outputBytesMax = 64 * 1024 * 1024;

function execute(parameters: readonly string[], input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile("kubectl", [...parameters], { maxBuffer: outputBytesMax }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`kubectl ${parameters.join(" ")}: ${stderr.trim() || error.message}`, { cause: error }));
    });
    child.stdin?.end(input ?? "");
  });
}

/** For names of objects that are the test's own. */
export function uniqueSuffix(): string {
  return randomBytes(4).toString("hex");
}

/** The fields of a pod that are looked at. */
export interface Pod {
  metadata: { name: string; creationTimestamp: string; deletionTimestamp?: string; labels?: Record<string, string> };
  spec: { nodeName?: string };
  status: {
    phase: string;
    startTime?: string;
    conditions?: { type: string; status: string }[];
    containerStatuses?: { state: { running?: { startedAt: string }; terminated?: { startedAt: string; finishedAt: string } } }[];
  };
}

export async function podsOf(kubectl: Kubectl, app: string): Promise<Pod[]> {
  const { items } = await kubectl.get<{ items: Pod[] }>(["pods", "-l", `app=${app}`]);
  return items;
}

export function isReady({ metadata, status }: Pod): boolean {
  const isTrue = status.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") ?? false;
  return isTrue && metadata.deletionTimestamp === undefined;
}
