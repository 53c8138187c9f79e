import { createQueueClient } from "@downbeat/queue/client.ts";
import { createQueues } from "@downbeat/queue/create-queues.ts";
import { packWakeUps } from "@downbeat/queue/pack-wake-ups.ts";
import { queueDepth } from "@downbeat/queue/queue-depth.ts";
import { sendWakeUps } from "@downbeat/queue/send-wake-ups.ts";
import { randomUUID } from "node:crypto";
import { GenericContainer, Wait } from "testcontainers";
import { expect, test, vi } from "vitest";

// A server on the JVM takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

/** Servers that copy an SQS without fair queues, each of which refuses groups in its own way. They run where their image is named. */
const servers = [
  { name: "ElasticMQ", image: process.env["ELASTICMQ_IMAGE"], port: 9324 },
  { name: "moto", image: process.env["MOTO_IMAGE"], port: 5000 },
];

for (const { name, image = "", port } of servers) {
  test.skipIf(image === "")(
    `${name} refuses fair-queue groups: every message gets in without, and it is asked with them once`,
    async () => {
      const container = await new GenericContainer(image)
        .withExposedPorts(port)
        .withWaitStrategy(Wait.forListeningPorts().withStartupTimeout(120_000))
        .start();
      const endpoint = `http://${container.getHost().replace("localhost", "127.0.0.1")}:${container.getMappedPort(port)}`;
      const client = createQueueClient({ region: "us-east-1", endpoint, socketsMax: 1 });
      try {
        const { queueUrl } = await createQueues(client, "refusing", 60);
        const refs = Array.from({ length: 6 }, () => ({ tenantId: randomUUID(), runId: randomUUID(), delaySeconds: 0 }));
        const wakeUps = packWakeUps(refs, 1);
        const [first, second] = [
          await sendWakeUps(client, queueUrl, wakeUps.slice(0, 3)),
          await sendWakeUps(client, queueUrl, wakeUps.slice(3)),
        ];
        expect(first).toEqual({ accepted: wakeUps.slice(0, 3), failed: [], refused: [], isGroupRefusalNew: true });
        expect(second).toEqual({ accepted: wakeUps.slice(3), failed: [], refused: [], isGroupRefusalNew: false });
        expect(await queueDepth(client, queueUrl)).toEqual({ visible: 6, inFlight: 0, delayed: 0 });
      } finally {
        client.destroy();
        await container.stop();
      }
    },
  );
}
