import { createTestDatabase } from "@downbeat/testkit/test-database.ts";
import { openClusterSystem } from "./cluster-system.ts";
import { startLocalSystem } from "./local-system.ts";
import { isOnCluster, type System } from "./system.ts";

/** For a test file: the cluster's installation with `DOWNBEAT_E2E=cluster`, else one of its own on this machine. */
export async function openSystem(): Promise<System> {
  if (isOnCluster) return openClusterSystem();
  const database = await createTestDatabase();
  const system = await startLocalSystem(database);
  return {
    ...system,
    async close() {
      await system.close();
      await database.drop();
    },
  };
}
