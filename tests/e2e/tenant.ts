import { randomBytes } from "node:crypto";
import type { Call } from "./receiver-log.ts";
import type { RestClient } from "./rest-client.ts";
import type { System } from "./system.ts";

/** A tenant of the test's own, with one endpoint named `receiver`. */
export interface Tenant {
  id: string;
  slug: string;
  /** What its receiver verifies with. */
  secret: string;
  rest: RestClient;
  /** The calls that were made for it. */
  calls(): Promise<Call[]>;
  /** Creates schedules, some at a time. Answers them in the order given. */
  schedule(schedules: readonly object[]): Promise<{ id: string; next_run_at: string | null }[]>;
  /** Deletes its schedules. The tenant and its ledger stay: Downbeat deletes neither. */
  clear(): Promise<void>;
}

export async function createTenant({ rest, receiver, onClose }: System, purpose: string): Promise<Tenant> {
  const slug = `e2e-${purpose}-${randomBytes(4).toString("hex")}`;
  const { id } = await rest.call<{ id: string }>("POST", "/tenants", { slug, name: `End-to-end test: ${purpose}` });
  const own = rest.forTenant(slug);
  // The path tells its calls from those of others at the same receiver.
  const { secret } = await own.call<{ secret: string }>("POST", "/endpoints", {
    name: "receiver",
    base_url: `${receiver.baseUrl}/${slug}`,
  });
  const made: string[] = [];
  const clear = async () => void (await eachOf(made.splice(0), (schedule) => own.call("DELETE", `/schedules/${schedule}`)));
  // Of a test that failed before it came to that.
  onClose(clear);
  return {
    id,
    slug,
    secret,
    rest: own,
    async calls() {
      const all = await receiver.calls();
      return all.filter(({ path }) => path.startsWith(`/${slug}/`));
    },
    schedule: (schedules) =>
      eachOf(schedules, async (schedule) => {
        const created = await own.call<{ id: string; next_run_at: string | null }>("POST", "/schedules", {
          ...schedule,
          endpoint: "receiver",
        });
        made.push(created.id);
        return created;
      }),
    clear,
  };
}

/** As many requests at once as the API has connections to serve without queueing them. */
const requestsAtOnce = 8;

async function eachOf<Item, Result>(items: readonly Item[], act: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const work = async () => {
    for (let index = next++; index < items.length; index = next++) results[index] = await act(items[index] as Item);
  };
  await Promise.all(Array.from({ length: requestsAtOnce }, work));
  return results;
}
