import * as fc from "fast-check";
import { expect, test } from "vitest";
import { CidrError, createNetworkGuard } from "./network-guard.ts";

const guard = createNetworkGuard({ allowPrivateTargets: false });

/** The IPv4 ranges once more, as plain numbers, so that the guard is compared with something it does not share code with. */
const forbiddenV4: readonly [string, number][] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["168.63.129.16", 32],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];
const dotted = (bits: number) => [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join(".");
const hex = (bits: number) => `${(bits >>> 16).toString(16)}:${(bits & 0xffff).toString(16)}`;
const numberOf = (address: string) => address.split(".").reduce((bits, part) => bits * 256 + Number(part), 0);
const isForbiddenV4 = (bits: number) =>
  forbiddenV4.some(([start, prefix]) => bits >= numberOf(start) && bits < numberOf(start) + 2 ** (32 - prefix));
/** Any address, with the edges of every range among them far more often than by chance. */
const edges = forbiddenV4.flatMap(([start, prefix]) =>
  [-1, 0, 2 ** (32 - prefix) - 1, 2 ** (32 - prefix)].map((offset) => numberOf(start) + offset),
);
const v4Bits = fc.oneof(fc.nat(0xffffffff), fc.constantFrom(...edges.filter((bits) => bits >= 0 && bits <= 0xffffffff)));

test("every IPv4 address is judged as the list of ranges says, at each range's edges too", () => {
  fc.assert(
    fc.property(v4Bits, (bits) => {
      expect({ address: dotted(bits), isForbidden: guard.isForbidden(dotted(bits)) }).toEqual({
        address: dotted(bits),
        isForbidden: isForbiddenV4(bits),
      });
    }),
    { numRuns: 2_000 },
  );
});

test("an address is forbidden in each IPv6 form that carries a forbidden IPv4 address (rule S7)", () => {
  fc.assert(
    fc.property(v4Bits, (bits) => {
      const wrapped = [
        `::ffff:${dotted(bits)}`,
        `::ffff:${hex(bits)}`,
        `0:0:0:0:0:FFFF:${hex(bits).toUpperCase()}`,
        `::${dotted(bits)}`,
        `::ffff:0:${dotted(bits)}`,
        `64:ff9b::${dotted(bits)}`,
        `64:ff9b:1::${dotted(bits)}`,
        `2002:${hex(bits)}::1`,
        `2001:0:${hex(bits)}::`,
      ];
      // The ranges of wrapped addresses are refused whole, so the allowed ones' forms are too.
      expect(wrapped.filter((address) => !guard.isForbidden(address))).toEqual([]);
    }),
    { numRuns: 1_000 },
  );
});

test.each(["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "2400:cb00:2048:1::c629:d7a2"])(
  "the public address %s may be called",
  (address) => {
    expect(guard.isForbidden(address)).toBe(false);
  },
);

test.each([
  "::",
  "::1",
  "100::1",
  "2001:db8::1",
  "3fff::1",
  "5f00::1",
  "fc00::1",
  "fd00:ec2::254",
  "fe80::1",
  "fe80::1%eth0",
  "fec0::1",
  "ff02::1",
  "",
  "localhost",
  "127.1",
  "0x7f000001",
  "2130706433",
  "8.8.8.8%1",
  "8.8.8.8 ",
  "[::1]",
  "2606:4700:4700::1111%lo",
  "1.2.3.4.5",
  "nonsense",
])("%j is forbidden: reserved, or no address at all", (address) => {
  expect(guard.isForbidden(address)).toBe(true);
});

test("ranges and addresses of the deployment are refused in addition", () => {
  const own = createNetworkGuard({ allowPrivateTargets: false, deniedCidrs: ["52.1.2.0/24", " 52.9.9.9 ", "2a05:d018::/36"] });
  expect(["52.1.2.3", "52.9.9.9", "2a05:d018:fff::1", "10.0.0.1"].map((address) => own.isForbidden(address))).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect(["52.1.3.1", "52.9.9.8", "2a05:d019::1"].map((address) => own.isForbidden(address))).toEqual([false, false, false]);
});

test.each(["", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "fe80::1%eth0", "10.0.0.0/", "10.0.0.0/-1", "example.com", "10.0.0.0/8/8"])(
  "the range %j is refused loudly instead of leaving a hole",
  (cidr) => {
    expect(() => createNetworkGuard({ allowPrivateTargets: false, deniedCidrs: [cidr] })).toThrow(CidrError);
  },
);

test("where private targets are allowed, nothing is forbidden", () => {
  const open = createNetworkGuard({ allowPrivateTargets: true, deniedCidrs: ["52.0.0.0/8"] });
  expect(["127.0.0.1", "::1", "52.1.1.1"].map((address) => open.isForbidden(address))).toEqual([false, false, false]);
});
