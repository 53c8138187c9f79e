import { until } from "@downbeat/testkit/until.ts";
import { isReady, type Kubectl, podsOf } from "./kubectl.ts";

const deployment = "deployment/schedule-executor";

/** Longer than an executor may take to drain, and one pod after the other. */
const deadlineMs = 300_000;

/** What an operator does with the executors' Deployment. */
export class ClusterExecutors {
  readonly #kubectl: Kubectl;

  constructor(kubectl: Kubectl) {
    this.#kubectl = kubectl;
  }

  async names(): Promise<string[]> {
    const pods = await podsOf(this.#kubectl, "schedule-executor");
    return pods.filter(isReady).map(({ metadata }) => metadata.name);
  }

  async kill(name: string): Promise<void> {
    await this.#kubectl.run(["delete", "pod", name, "--force", "--grace-period=0", "--wait=false"]);
  }

  async restart(): Promise<void> {
    const before = await this.names();
    await this.#kubectl.run(["rollout", "restart", deployment]);
    await this.#kubectl.run(["rollout", "status", deployment, `--timeout=${deadlineMs / 1_000}s`]);
    // It counts pods that are draining no more, and those may still be calling.
    await until(
      "the old executors to be gone",
      async () => {
        const pods = await podsOf(this.#kubectl, "schedule-executor");
        return !pods.some(({ metadata }) => before.includes(metadata.name));
      },
      { deadlineMs, everyMs: 500 },
    );
  }

  async scale(count: number): Promise<void> {
    await this.#kubectl.run(["scale", deployment, `--replicas=${count}`]);
    await this.settled(count);
  }

  /** Resolves when that many are ready and no other pod is left. */
  async settled(count: number, settledMsMax = deadlineMs): Promise<void> {
    await until(
      `${count} executors`,
      async () => {
        const pods = await podsOf(this.#kubectl, "schedule-executor");
        return pods.length === count && pods.every(isReady);
      },
      { deadlineMs: settledMsMax, everyMs: 500 },
    );
  }

  /** The autoscaler that points at the Deployment, its own or KEDA's. */
  async autoscaler(): Promise<string | null> {
    const { items } = await this.#kubectl.get<{ items: { metadata: { name: string }; spec: { scaleTargetRef: { name: string } } }[] }>([
      "hpa",
    ]);
    return items.find(({ spec }) => spec.scaleTargetRef.name === "schedule-executor")?.metadata.name ?? null;
  }
}
