/**
 * The message between dispatcher and executor. It is a wake-up hint (rule D8): ids only, no payload, no secret, no URL. The database decides whether a run
 * named here is run at all, so a message may be lost, doubled, reordered or two weeks old without harm.
 *
 * It carries a list of run ids, grouped by tenant, because the cost of a queue is its requests: twenty ids in a message are a twentieth of the sends,
 * receives and deletes.
 */
import * as z from "zod";

/** What names a run in the ledger. */
export interface RunRef {
  tenantId: string;
  runId: string;
}

/** Bounds what one executor takes at a time; also keeps ten messages far below SQS's limit of 1 MiB for a batch. */
export const runsPerMessageMax = 100;

/** As the database writes it: answers about runs are matched to messages by these letters. */
const uuid = z.uuid().toLowerCase();

const wakeUp = z.strictObject({
  v: z.literal(1),
  tenants: z.array(z.strictObject({ id: uuid, runs: z.array(uuid).min(1) })).min(1),
});

export function encodeWakeUp(refs: readonly RunRef[]): string {
  const byTenant = new Map<string, string[]>();
  for (const { tenantId, runId } of refs) {
    const runs = byTenant.get(tenantId);
    if (runs === undefined) byTenant.set(tenantId, [runId]);
    else runs.push(runId);
  }
  return JSON.stringify({ v: 1, tenants: [...byTenant].map(([id, runs]) => ({ id, runs })) });
}

export type DecodedWakeUp = { isReadable: true; refs: RunRef[] } | { isReadable: false; reason: string };

/** Never throws: a message that cannot be read is an outcome, not an accident (rule X8). */
export function decodeWakeUp(body: string): DecodedWakeUp {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { isReadable: false, reason: "not JSON" };
  }
  const parsed = wakeUp.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return { isReadable: false, reason: `${issue?.path.join(".") || "message"}: ${issue?.message ?? "unreadable"}` };
  }
  const refs = parsed.data.tenants.flatMap(({ id, runs }) => runs.map((runId) => ({ tenantId: id, runId })));
  if (refs.length > runsPerMessageMax)
    return { isReadable: false, reason: `${refs.length} runs in one message, at most ${runsPerMessageMax}` };
  return { isReadable: true, refs };
}
