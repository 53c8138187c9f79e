import { createQueueClient } from "@downbeat/queue/client.ts";
import { connect } from "@downbeat/store/connect.ts";
import { ClusterExecutors } from "./cluster-executors.ts";
import { forwardPort } from "./forward-port.ts";
import { createKubectl, type Kubectl, podsOf, uniqueSuffix } from "./kubectl.ts";
import { runMigrateJob } from "./migrate-job.ts";
import { startReceiverPod } from "./receiver-pod.ts";
import { ReceiverLog } from "./receiver-log.ts";
import { createRestClient } from "./rest-client.ts";
import type { System } from "./system.ts";
import { whenGone } from "./when-gone.ts";

export interface ClusterSystem extends System {
  readonly kubectl: Kubectl;
  readonly pods: ClusterExecutors;
}

/**
 * The installation in one namespace of the cluster that the context names (`E2E_CONTEXT`, default: the current one; `E2E_NAMESPACE`, default `local`), with bundled Postgres and queue.
 * What it makes there is its own: a receiver with Service and ConfigMap, a Job, an API key, tenants of unique names.
 */
export async function openClusterSystem(): Promise<ClusterSystem> {
  const kubectl = await createKubectl();
  const closers: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const step of closers.splice(0).reverse()) await step();
  };
  try {
    return { ...(await open(kubectl, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(kubectl: Kubectl, closers: (() => Promise<unknown>)[]): Promise<Omit<ClusterSystem, "close">> {
  const forward = async (service: string, port: number) => {
    const forwarded = await forwardPort(kubectl, service, port);
    closers.push(() => forwarded.close());
    return forwarded.port;
  };

  const databaseUrl = new URL(decoded(await readKey(kubectl, "secret/downbeat-secrets", "migrate-database-url")));
  databaseUrl.host = `127.0.0.1:${await forward("postgresql", 5432)}`;
  const sql = connect({ url: databaseUrl.href, connectionsMax: 2, applicationName: "e2e" });
  closers.push(() => sql.end({ timeout: 2 }));

  const queueUrl = new URL(await readKey(kubectl, "configmap/scheduler-env", "SQS_QUEUE_URL"));
  queueUrl.host = `127.0.0.1:${await forward("localstack", 4566)}`;
  const queue = createQueueClient({ region: "us-east-1", endpoint: queueUrl.origin, socketsMax: 4 });
  closers.push(async () => queue.destroy());

  const createKey = ["downbeat", "keys", "create", "--scope", "admin", "--name", "e2e", "--json"];
  const created = await kubectl.run(["exec", "deployment/downbeat-api", "--", ...createKey]);
  const key = JSON.parse(created) as { id: string; key: string };
  closers.push(() => sql`update downbeat.api_keys set revoked_at = now() where id = ${key.id}`);
  const apiUrl = `http://127.0.0.1:${await forward("downbeat-api", 80)}`;

  const name = `e2e-receiver-${uniqueSuffix()}`;
  const labels = { "downbeat-e2e": name };
  closers.push(whenGone(["kubectl", ...kubectl.target, "delete", "pod,service,configmap,job", "-l", `downbeat-e2e=${name}`]));
  const receiver = await startReceiverPod(kubectl, name, labels);
  const receiverUrl = `http://127.0.0.1:${await forward(name, receiver.port)}`;

  const pods = new ClusterExecutors(kubectl);
  const suspend = (isSuspended: boolean) =>
    kubectl.run(["patch", "cronjob", "schedule-dispatcher", "-p", JSON.stringify({ spec: { suspend: isSuspended } })]);
  return {
    kubectl,
    pods,
    rest: createRestClient({ url: apiUrl, key: key.key }),
    sql,
    queue,
    queueUrl: queueUrl.href,
    receiver: new ReceiverLog(`http://${name}.${kubectl.namespace}:${receiver.port}`, receiverUrl),
    // A lease (45 s), the grace that a dispatcher gives it, a message's visibility (60 s), the minute of the CronJob.
    settleMsMax: 240_000,
    // The dispatcher's default, which the chart leaves alone.
    horizonMs: 75_000,
    executors: () => pods.names(),
    killExecutor: (executor) => pods.kill(executor),
    restartExecutors: () => pods.restart(),
    scaleExecutors: (count) => pods.scale(count),
    autoscaler: () => pods.autoscaler(),
    isOwnDispatcher: (dispatcher) => dispatcher.startsWith("schedule-dispatcher-"),
    killDispatcher: (how) => killDispatcher(kubectl, how),
    async suspendDispatcher() {
      await suspend(true);
      closers.push(() => suspend(false));
    },
    async resumeDispatcher() {
      await suspend(false);
    },
    migrate: () => runMigrateJob(kubectl, labels),
    onClose: (step) => void closers.push(step),
  };
}

async function readKey(kubectl: Kubectl, object: string, key: string): Promise<string> {
  const { data } = await kubectl.get<{ data?: Record<string, string> }>([object]);
  const value = data?.[key];
  if (value === undefined) throw new Error(`${object} of namespace ${kubectl.namespace} has no key ${key}`);
  return value;
}

function decoded(base64: string): string {
  return Buffer.from(base64, "base64").toString("utf8");
}

async function killDispatcher(kubectl: Kubectl, how: "crash" | "delete"): Promise<string | null> {
  const pods = await podsOf(kubectl, "schedule-dispatcher");
  const pod = pods.find(({ status, metadata }) => status.phase === "Running" && metadata.deletionTimestamp === undefined);
  if (pod === undefined) return null;
  const job = pod.metadata.labels?.["job-name"];
  const victim = how === "delete" && job !== undefined ? ["job", job] : ["pod", pod.metadata.name, "--force", "--grace-period=0"];
  await kubectl.run(["delete", ...victim, "--wait=false"]);
  return pod.metadata.name;
}
