import { BlockList, isIP } from "node:net";

/**
 * Addresses no tenant may make the service call (rule S3): everything that is not a public unicast address, whatever wraps it.
 */
const forbiddenRanges: readonly string[] = [
  "0.0.0.0/8", // this network
  "10.0.0.0/8", // private
  "100.64.0.0/10", // carrier-grade NAT, and the metadata service of some clouds
  "127.0.0.0/8", // loopback
  "168.63.129.16/32", // a public address by its number, but Azure's own host service from inside every Azure machine
  "169.254.0.0/16", // link-local: the metadata service
  "172.16.0.0/12", // private
  "192.0.0.0/24", // protocol assignments
  "192.0.2.0/24", // documentation
  "192.88.99.0/24", // 6to4 relays
  "192.168.0.0/16", // private
  "198.18.0.0/15", // benchmarks
  "198.51.100.0/24", // documentation
  "203.0.113.0/24", // documentation
  "224.0.0.0/4", // multicast
  "240.0.0.0/4", // reserved, broadcast
  "::/8", // unspecified, loopback, IPv4-mapped, IPv4-compatible, IPv4-translated
  "64:ff9b::/32", // NAT64, both prefixes
  "100::/64", // discard
  "2001::/23", // protocol assignments: Teredo and others
  "2001:db8::/32", // documentation
  "2002::/16", // 6to4
  "3fff::/20", // documentation
  "5f00::/16", // segment routing
  "fc00::/7", // unique local
  "fe80::/10", // link-local
  "fec0::/10", // site-local
  "ff00::/8", // multicast
];

/** Decides which addresses may be called. */
export interface NetworkGuard {
  /** Everything may be called, `http` and `localhost` too. For development and tests only. */
  readonly allowPrivateTargets: boolean;
  /** True for an address that must not be called, and for a text that is no address at all. */
  isForbidden(address: string): boolean;
}

export interface NetworkGuardOptions {
  allowPrivateTargets: boolean;
  /** Further ranges or single addresses to refuse: the cluster's own pod, service and public addresses. */
  deniedCidrs?: readonly string[];
}

/** Thrown for a range that cannot be read: a guard with a hole is worse than none. */
export class CidrError extends Error {
  override readonly name = "CidrError";
}

/** Thrown by the connector for a target it must not call. The message is for operators: it may hold an internal address (rule S5). */
export class BlockedTargetError extends Error {
  override readonly name = "BlockedTargetError";
}

export function createNetworkGuard({ allowPrivateTargets, deniedCidrs = [] }: NetworkGuardOptions): NetworkGuard {
  // One list for each family: `BlockList` compares an IPv4 address with IPv6 rules as if it were IPv4-mapped, so in a common list `::/8` forbids all of IPv4.
  const v4 = new BlockList();
  const v6 = new BlockList();
  for (const cidr of [...forbiddenRanges, ...deniedCidrs]) {
    const { address, family, prefix } = parseCidr(cidr);
    if (family === 4) v4.addSubnet(address, prefix, "ipv4");
    else v6.addSubnet(address, prefix, "ipv6");
  }
  return {
    allowPrivateTargets,
    isForbidden(address) {
      if (allowPrivateTargets) return false;
      // `BlockList.check` answers false, "not listed", for a text it cannot read, and Node counts a zone id as part of a valid address.
      if (address.includes("%")) return true;
      const family = isIP(address);
      if (family === 4) return v4.check(address, "ipv4");
      if (family === 6) return v6.check(address, "ipv6");
      return true;
    },
  };
}

function parseCidr(cidr: string): { address: string; family: 4 | 6; prefix: number } {
  const [, address = "", digits] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(cidr.trim()) ?? [];
  const family = isIP(address);
  const prefixMax = family === 4 ? 32 : 128;
  const prefix = digits === undefined ? prefixMax : Number(digits);
  if ((family !== 4 && family !== 6) || prefix > prefixMax) throw new CidrError(`"${cidr}" is not an address or a range like 10.0.0.0/8`);
  return { address, family, prefix };
}
