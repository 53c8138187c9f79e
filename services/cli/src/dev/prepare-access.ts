import { createApiKey } from "@downbeat/api/http/api-keys.ts";
import type { DevState } from "../state-folder.ts";
import type { Database } from "./start-storage.ts";

/**
 * The state with an administrator's key that is good for this database. A key kept from data that is gone is replaced, and what was made there is to be
 * made again.
 */
export async function prepareAccess(
  state: DevState,
  database: Pick<Database, "admin" | "identity">,
): Promise<DevState & { apiKey: string }> {
  const { admin, identity } = database;
  const kept = state.environment["DOWNBEAT_API_KEY"];
  if (kept !== undefined && state.database === identity) return { ...state, apiKey: kept };
  const { key } = await createApiKey(admin, { scope: "admin", name: "downbeat dev", env: "dev" });
  return { ...state, database: identity, hasDemo: false, apiKey: key };
}
