import { afterEach, expect, test } from "vitest";
import { createDnsResolver, HostNotResolvedError } from "./resolve-host.ts";
import { type DnsAnswer, type DnsServer, startDnsServer } from "./testing/dns-server.ts";

let server: DnsServer | undefined;
let nowMs = 0;
const clock = { monotonic: () => nowMs };

afterEach(async () => {
  await server?.close();
  server = undefined;
  nowMs = 0;
});

async function resolverFor(
  answer: (name: string) => DnsAnswer | "silence" | undefined,
  options: { budgetMs?: number; ttlMsMax?: number } = {},
) {
  server = await startDnsServer(answer);
  return { dns: server, resolve: createDnsResolver({ clock, servers: [server.address], ...options }) };
}

test("a name resolves to all its A and AAAA records, IPv4 first", async () => {
  const { resolve } = await resolverFor(() => ({ A: ["93.184.215.14", "127.0.0.1"], AAAA: ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"] }));
  expect(await resolve("mixed.example.com")).toEqual([
    { address: "93.184.215.14", family: 4 },
    { address: "127.0.0.1", family: 4 },
    { address: "2606:2800:21f:cb07:6820:80da:af6b:8b2c", family: 6 },
  ]);
});

test("one kind of record is enough; none, or no such name, is an error of its own type", async () => {
  const { resolve } = await resolverFor((name) =>
    name === "v6.example.com" ? { AAAA: ["0:0:0:0:0:0:0:1"] } : name === "empty.example.com" ? {} : undefined,
  );
  expect(await resolve("v6.example.com")).toEqual([{ address: "::1", family: 6 }]);
  await expect(resolve("empty.example.com")).rejects.toThrow(HostNotResolvedError);
  await expect(resolve("missing.example.com")).rejects.toThrow(HostNotResolvedError);
});

test("a DNS server that does not answer costs no more than the budget", async () => {
  const { resolve } = await resolverFor(() => "silence", { budgetMs: 60 });
  await expect(resolve("slow.example.com")).rejects.toThrow("within 60 ms");
});

test("look-ups of one name at one time are shared, and answers are reused for their TTL but no longer than the cap", async () => {
  let ttl = 300;
  const { dns, resolve } = await resolverFor(() => ({ A: ["93.184.215.14"], ttl }), { ttlMsMax: 10_000 });
  await Promise.all([resolve("busy.example.com"), resolve("busy.example.com"), resolve("busy.example.com")]);
  expect(dns.questions).toHaveLength(2);
  nowMs = 9_999;
  await resolve("busy.example.com");
  expect(dns.questions).toHaveLength(2);
  nowMs = 10_000;
  ttl = 0;
  await resolve("busy.example.com");
  expect(dns.questions).toHaveLength(4);
  await resolve("busy.example.com");
  expect(dns.questions).toHaveLength(6);
});

test("a failure is not remembered", async () => {
  let isUp = false;
  const { resolve } = await resolverFor(() => (isUp ? { A: ["93.184.215.14"] } : undefined));
  await expect(resolve("back.example.com")).rejects.toThrow(HostNotResolvedError);
  isUp = true;
  expect(await resolve("back.example.com")).toHaveLength(1);
});

test("names are asked for as they are: no search domain is appended and no hosts file is read", async () => {
  const { dns, resolve } = await resolverFor(() => undefined);
  await expect(resolve("localhost")).rejects.toThrow(HostNotResolvedError);
  expect(new Set(dns.questions)).toEqual(new Set(["localhost A", "localhost AAAA"]));
});
