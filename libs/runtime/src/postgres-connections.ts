import { Socket } from "node:net";
import { Gauge, type Registry } from "@prometheus-io/client";

/**
 * Connections to Postgres: how many this process may open, and how many it has open. The driver tells neither how many it holds nor how many are busy, and its hooks are called for failed attempts as
 * for real ones; so at each scrape, and only then, the open sockets are counted that lead to Postgres's port. Over a Unix socket there is no port, and `open` is absent.
 */
export function postgresConnections(registry: Registry, { url, connectionsMax }: { url: string; connectionsMax: number }): void {
  const port = portOf(url);
  const gauge: Gauge<"state"> = new Gauge({
    name: "downbeat_postgres_connections",
    help: "Connections to Postgres: `open` as this process holds them, `max` as its pools allow.",
    labelNames: ["state"],
    registers: [registry],
    collect() {
      const open = port === undefined ? undefined : openTo(port);
      if (open !== undefined) gauge.labels("open").set(open);
    },
  });
  gauge.labels("max").set(connectionsMax);
}

function portOf(url: string): number | undefined {
  if (!URL.canParse(url)) return undefined;
  const { hostname, port } = new URL(url);
  return hostname === "" ? undefined : Number(port || 5432);
}

function openTo(port: number): number | undefined {
  // Node does not document it, but the client's own metrics stand on it as well; should it be gone one day, `open` is absent.
  // oxlint-disable-next-line eslint/no-underscore-dangle
  const handles = (process as { _getActiveHandles?: () => unknown[] })._getActiveHandles?.();
  return handles?.filter((handle) => handle instanceof Socket && handle.remotePort === port && !handle.connecting).length;
}
