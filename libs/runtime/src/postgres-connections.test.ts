import { connect, createServer, type Socket } from "node:net";
import { readSamples } from "@downbeat/testkit/metric-samples.ts";
import { Registry } from "@prometheus-io/client";
import { expect, test } from "vitest";
import { postgresConnections } from "./postgres-connections.ts";

const open = 'downbeat_postgres_connections{state="open"}';
const max = 'downbeat_postgres_connections{state="max"}';

test("open are the sockets that lead to Postgres's port, as they come and go; those to other ports are not", async () => {
  const [server, other] = [createServer(), createServer()];
  const portOf = (of: typeof server) =>
    new Promise<number>((resolve) => of.listen(0, "127.0.0.1", () => resolve((of.address() as { port: number }).port)));
  const [port, otherPort] = [await portOf(server), await portOf(other)];
  const dial = (to: number) =>
    new Promise<Socket>((resolve) => {
      const socket = connect(to, "127.0.0.1", () => resolve(socket));
    });
  const registry = new Registry();
  postgresConnections(registry, { url: `postgres://user:secret@127.0.0.1:${port}/downbeat`, connectionsMax: 4 });
  expect(await readSamples(registry)).toEqual({ [open]: 0, [max]: 4 });
  const sockets = [await dial(port), await dial(port), await dial(otherPort)];
  expect(await readSamples(registry)).toEqual({ [open]: 2, [max]: 4 });
  const [first] = sockets;
  const closed = new Promise((resolve) => first?.once("close", resolve));
  first?.destroy();
  await closed;
  expect(await readSamples(registry)).toEqual({ [open]: 1, [max]: 4 });
  expect(await registry.metrics()).not.toContain("secret");
  for (const socket of sockets) socket.destroy();
  server.close();
  other.close();
});

test("where no port can be known nothing is claimed to be open", async () => {
  const registry = new Registry();
  postgresConnections(registry, { url: "postgres:///downbeat?host=/run/postgresql", connectionsMax: 4 });
  expect(await readSamples(registry)).toEqual({ [max]: 4 });
});
