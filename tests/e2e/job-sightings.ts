import { isReady, type Kubectl, type Pod, podsOf } from "./kubectl.ts";

/** One Job of the CronJob, as far as it has been seen. Instants in ms since 1970; the API server keeps whole seconds. */
export interface JobSighting {
  name: string;
  /** The minute it was started for. */
  minuteAt: number;
  createdAt: number;
  pods: Set<string>;
  /** When its container started. */
  startedAt?: number;
  /** What the dispatcher says in its log: from the start of Node to its first claim, and the most memory it took. */
  firstClaimMs?: number;
  peakRssMiB?: number;
  /** The most that the kubelet saw, which looks every few seconds. */
  workingSetMiB?: number;
  isOver: boolean;
}

interface Job {
  metadata: { name: string; creationTimestamp: string; annotations?: Record<string, string> };
  status: { conditions?: { type: string; status: string }[] };
}

/** Looks at the CronJob's Jobs again and again, and remembers them when their history is cleared. */
export class JobSightings {
  readonly jobs = new Map<string, JobSighting>();
  readonly #kubectl: Kubectl;

  constructor(kubectl: Kubectl) {
    this.#kubectl = kubectl;
  }

  async look(): Promise<void> {
    const { items } = await this.#kubectl.get<{ items: Job[] }>(["jobs", "-l", "app=schedule-dispatcher"]);
    for (const job of items) this.#see(job);
    const pods = await podsOf(this.#kubectl, "schedule-dispatcher");
    for (const pod of pods) this.#seePod(pod);
    await this.#readMemory(pods.filter(isReady));
    for (const job of this.jobs.values()) if (job.isOver && job.peakRssMiB === undefined) await this.#readLog(job);
  }

  #see({ metadata, status }: Job): void {
    const { name, annotations, creationTimestamp } = metadata;
    const job = this.jobs.get(name) ?? {
      name,
      minuteAt: Date.parse(annotations?.["batch.kubernetes.io/cronjob-scheduled-timestamp"] ?? ""),
      createdAt: Date.parse(creationTimestamp),
      pods: new Set<string>(),
      isOver: false,
    };
    job.isOver =
      status.conditions?.some(({ type, status: value }) => value === "True" && (type === "Complete" || type === "Failed")) ?? false;
    this.jobs.set(name, job);
  }

  #seePod({ metadata, status }: Pod): void {
    const job = this.jobs.get(metadata.labels?.["job-name"] ?? "");
    const { running, terminated } = status.containerStatuses?.[0]?.state ?? {};
    const startedAt = running?.startedAt ?? terminated?.startedAt;
    if (job === undefined) return;
    job.pods.add(metadata.name);
    if (startedAt !== undefined) job.startedAt ??= Date.parse(startedAt);
  }

  async #readMemory(pods: readonly Pod[]): Promise<void> {
    for (const node of new Set(pods.map(({ spec }) => spec.nodeName))) {
      const summary = JSON.parse(await this.#kubectl.run(["get", "--raw", `/api/v1/nodes/${node}/proxy/stats/summary`])) as NodeSummary;
      for (const { podRef, containers = [] } of summary.pods) {
        const job = [...this.jobs.values()].find((seen) => podRef.namespace === this.#kubectl.namespace && seen.pods.has(podRef.name));
        const bytes = containers.reduce((sum, { memory }) => sum + (memory?.workingSetBytes ?? 0), 0);
        if (job !== undefined && bytes > 0) job.workingSetMiB = Math.max(job.workingSetMiB ?? 0, bytes / 2 ** 20);
      }
    }
  }

  async #readLog(job: JobSighting): Promise<void> {
    // The pod may have been cleared away with its Job.
    const log = await this.#kubectl.run(["logs", `job/${job.name}`, "--tail=-1"]).catch(() => "");
    for (const line of log.split("\n").filter((text) => text.includes('"sinceStartMs"'))) {
      const { msg, sinceStartMs, peakRssMiB } = JSON.parse(line) as { msg: string; sinceStartMs: number; peakRssMiB?: number };
      if (msg === "first claim") job.firstClaimMs = sinceStartMs;
      if (peakRssMiB !== undefined) job.peakRssMiB = peakRssMiB;
    }
  }
}

interface NodeSummary {
  pods: { podRef: { name: string; namespace: string }; containers?: { memory?: { workingSetBytes?: number } }[] }[];
}
