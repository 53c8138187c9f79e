import { lookup, Resolver } from "node:dns/promises";

export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** All addresses of a host name. Rejects with `HostNotResolvedError`; never resolves to an empty list. */
export type ResolveHost = (host: string) => Promise<readonly ResolvedAddress[]>;

/** The name has no address, or none was found in time. The message is for operators (rule S5). */
export class HostNotResolvedError extends Error {
  override readonly name = "HostNotResolvedError";
}

export interface ResolverOptions {
  clock: { monotonic(): number };
  /** `address[:port]` of the DNS servers to ask. Default: the machine's. */
  servers?: readonly string[];
  /** How long both look-ups together may take. */
  budgetMs?: number;
  /** An answer is reused no longer than this, whatever its TTL says, so that a name that moves is followed. */
  ttlMsMax?: number;
}

/** The most names remembered at once; beyond it the oldest is forgotten. */
const namesMax = 10_000;

/**
 * Asks DNS for A and AAAA records and nothing else: no hosts file, no search domain. It runs on the event loop and not on Node's four look-up threads, which
 * a few slow names would occupy against every other tenant. Look-ups of one name at one time are shared.
 */
export function createDnsResolver({ clock, servers, budgetMs = 2_000, ttlMsMax = 10_000 }: ResolverOptions): ResolveHost {
  const resolver = new Resolver({ timeout: Math.max(1, Math.floor(budgetMs / 3)), tries: 2 });
  if (servers !== undefined) resolver.setServers(servers);
  const answers = new Map<string, { addresses: Promise<readonly ResolvedAddress[]>; usableUntilMs: number }>();

  const ask = async (host: string, entry: { usableUntilMs: number }): Promise<readonly ResolvedAddress[]> => {
    const [v4, v6] = await within(budgetMs, host, [resolver.resolve4(host, { ttl: true }), resolver.resolve6(host, { ttl: true })]);
    const records = [
      // IPv4 first: a cluster without IPv6 routes is far more common than the reverse.
      ...(v4.status === "fulfilled" ? v4.value.map((record) => ({ ...record, family: 4 as const })) : []),
      ...(v6.status === "fulfilled" ? v6.value.map((record) => ({ ...record, family: 6 as const })) : []),
    ];
    if (records.length === 0)
      throw new HostNotResolvedError(`${host} has no address`, { cause: v4.status === "rejected" ? v4.reason : undefined });
    entry.usableUntilMs = clock.monotonic() + Math.min(ttlMsMax, ...records.map(({ ttl }) => ttl * 1000));
    return records.map(({ address, family }) => ({ address, family }));
  };

  return (host) => {
    const known = answers.get(host);
    if (known !== undefined && clock.monotonic() < known.usableUntilMs) return known.addresses;
    // Deleted first so that the map's order stays the order of asking.
    answers.delete(host);
    if (answers.size >= namesMax) answers.delete(answers.keys().next().value ?? "");
    // Until the answer is there, everybody who asks waits for the same one.
    const validity = { usableUntilMs: Number.POSITIVE_INFINITY };
    const entry = Object.assign(validity, { addresses: ask(host, validity) });
    answers.set(host, entry);
    entry.addresses.catch(() => {
      // A failure is not remembered.
      if (answers.get(host) === entry) answers.delete(host);
    });
    return entry.addresses;
  };
}

/** Resolves names as the machine does, hosts file included: `localhost` and the like. Only for deployments that allow private targets. */
export const resolveAsTheMachine: ResolveHost = async (host) => {
  try {
    const found = await lookup(host, { all: true, order: "ipv4first" });
    return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
  } catch (error) {
    throw new HostNotResolvedError(`${host} has no address`, { cause: error });
  }
};

async function within<A, B>(
  budgetMs: number,
  host: string,
  [a, b]: [Promise<A>, Promise<B>],
): Promise<[PromiseSettledResult<A>, PromiseSettledResult<B>]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new HostNotResolvedError(`no DNS answer for ${host} within ${budgetMs} ms`)), budgetMs);
  });
  try {
    return await Promise.race([Promise.allSettled([a, b]), late]);
  } finally {
    clearTimeout(timer);
  }
}
