import { connect } from "./connect.ts";

/** Postgres's notification channel on which the API says that something became due now or changed what is due soon. */
export const dueChannel = "downbeat_due";

/**
 * Calls `onDue` when something becomes due before the next pass would look. Only a convenience: a notification that is lost, or cannot be had because the server is away, costs
 * the seconds until the next pass. Returns the function that ends it.
 */
export function listenForDue(url: string, onDue: () => void): () => Promise<void> {
  const sql = connect({ url, role: "downbeat_dispatcher", connectionsMax: 1, applicationName: "downbeat-dispatcher-listen" });
  void sql.listen(dueChannel, onDue).catch(() => {});
  return () => sql.end({ timeout: 1 });
}
