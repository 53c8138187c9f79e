import { type Kubectl, uniqueSuffix } from "./kubectl.ts";

/** Runs the installation's migration again as a Job, beside whatever runs, and answers the names of the migrations it applied. Helm removed its own Job when that had succeeded. */
export async function runMigrateJob(kubectl: Kubectl, labels: Readonly<Record<string, string>>): Promise<string[]> {
  const deployment = await kubectl.get<ApiDeployment>(["deployment", "downbeat-api"]);
  const { image = "" } = deployment.spec.template.spec.containers[0] ?? {};
  const name = `e2e-migrate-${uniqueSuffix()}`;
  await kubectl.apply([
    {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name, labels },
      spec: {
        backoffLimit: 0,
        template: {
          // Under the name that the network policies know.
          metadata: { labels: { ...deployment.spec.selector.matchLabels, app: "downbeat-migrate", ...labels } },
          spec: {
            restartPolicy: "Never",
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            securityContext: { runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, seccompProfile: { type: "RuntimeDefault" } },
            containers: [
              {
                name: "migrate",
                image,
                imagePullPolicy: "IfNotPresent",
                command: ["downbeat", "migrate", "--json"],
                env: [{ name: "DATABASE_URL", valueFrom: { secretKeyRef: { name: "downbeat-secrets", key: "migrate-database-url" } } }],
                resources: { requests: { cpu: "50m", memory: "64Mi" } },
                securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
              },
            ],
          },
        },
      },
    },
  ]);
  try {
    await kubectl.run(["wait", "--for=condition=Complete", `job/${name}`, "--timeout=120s"]);
    const output = await kubectl.run(["logs", `job/${name}`]);
    return (JSON.parse(output) as { applied: string[] }).applied;
  } finally {
    await kubectl.run(["delete", "job", name]);
  }
}

interface ApiDeployment {
  spec: { selector: { matchLabels: Record<string, string> }; template: { spec: { containers: { image: string }[] } } };
}
