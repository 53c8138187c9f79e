import { readFile } from "node:fs/promises";
import type { Kubectl } from "./kubectl.ts";

const port = 8080;

/** The receiver as a pod behind a Service of the given name, in the image of the installation, which has Node. It keeps to the restricted level of pod security, as the installation does. */
export async function startReceiverPod(
  kubectl: Kubectl,
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<{ port: number }> {
  const script = await readFile(new URL("receiver.mjs", import.meta.url), "utf8");
  const image = await kubectl.run(["get", "deployment", "downbeat-api", "-o", "jsonpath={.spec.template.spec.containers[0].image}"]);
  const metadata = { name, labels };
  const selector = { app: name };
  await kubectl.apply([
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { "receiver.mjs": script } },
    { apiVersion: "v1", kind: "Service", metadata, spec: { selector, ports: [{ port, targetPort: port }] } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, labels: { ...labels, ...selector } },
      spec: {
        restartPolicy: "Never",
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        terminationGracePeriodSeconds: 1,
        securityContext: { runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, seccompProfile: { type: "RuntimeDefault" } },
        containers: [
          {
            name: "receiver",
            image,
            imagePullPolicy: "IfNotPresent",
            command: ["node", "/e2e/receiver.mjs"],
            env: [
              { name: "HOST", value: "0.0.0.0" },
              { name: "PORT", value: String(port) },
            ],
            ports: [{ containerPort: port }],
            readinessProbe: { tcpSocket: { port }, periodSeconds: 1 },
            resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { memory: "512Mi" } },
            securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
            volumeMounts: [{ name: "script", mountPath: "/e2e", readOnly: true }],
          },
        ],
        volumes: [{ name: "script", configMap: { name } }],
      },
    },
  ]);
  await kubectl.run(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=120s"]);
  return { port };
}
