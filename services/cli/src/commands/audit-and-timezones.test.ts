import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { buildProgram } from "../program.ts";

let close: (() => void) | undefined;
afterEach(() => close?.());

/** What a command prints, asked of an API that answers every request with `answer`. */
async function run(answer: object, ...parameters: string[]): Promise<{ lines: string[]; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, reply) => {
    asked.push(request.url ?? "");
    reply.setHeader("content-type", "application/json").end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  close = () => void server.close();
  const lines: string[] = [];
  const { port } = server.address() as AddressInfo;
  const environment = { DOWNBEAT_URL: `http://127.0.0.1:${port}`, DOWNBEAT_API_KEY: "sk_test_1_2" };
  const cli = { environment, print: (line: string) => void lines.push(...line.split("\n")), remark: () => {} };
  await buildProgram(cli).parseAsync(parameters, { from: "user" });
  return { lines, asked };
}

const audit = {
  id: "a",
  started_at: "2026-03-08T09:00:00.000Z",
  finished_at: "2026-03-08T09:00:03.000Z",
  schedules: 3,
  expected: 4_320,
  recorded: 4_320,
  lost: 0,
  unexpected: 0,
  difference: 0,
  findings: [] as object[],
};

test("an audit in balance is one line", async () => {
  const { lines, asked } = await run({ items: [audit], next_cursor: null }, "audit");
  expect(lines).toEqual([
    "FINISHED               TOOK  SCHEDULES  EXPECTED  RECORDED  LOST  UNEXPECTED",
    "2026-03-08 09:00:03Z  3.0 s          3      4320      4320     0           0",
  ]);
  expect(asked).toEqual(["/api/v1/audits?limit=5"]);
});

test("a difference is followed by what is lost, and by how much is not named", async () => {
  const finding = {
    kind: "lost",
    at: "2026-03-08T07:00:00.000Z",
    tenant: { id: "t", slug: "acme" },
    schedule: { id: "5d0f6a52-6a0e-4d1f-9d3c-0a1b2c3d4e5f", name: "hourly" },
  };
  const { lines } = await run({ items: [{ ...audit, lost: 3, difference: 3, findings: [finding] }, audit], next_cursor: null }, "audit");
  expect(lines.slice(3)).toEqual([
    "",
    "FINDING  INSTANT               TENANT  SCHEDULE  ID",
    "lost     2026-03-08 07:00:00Z  acme    hourly    5d0f6a52-6a0e-4d1f-9d3c-0a1b2c3d4e5f",
    "and 2 more",
  ]);
});

test("before the first audit it says when there will be one", async () => {
  const { lines } = await run({ items: [], next_cursor: null }, "audit", "--limit", "1");
  expect(lines).toEqual(["no audit yet; a dispatcher makes the first one within a minute of its start"]);
});

test("--json prints the audits as the API has them", async () => {
  const { lines } = await run({ items: [audit], next_cursor: null }, "audit", "--json");
  expect(JSON.parse(lines.join("\n"))).toEqual({ items: [audit] });
});

const zones = {
  tzdata: "2026c",
  dispatchers: { tzdata: "2026c", compared_at: null },
  items: [
    {
      timezone: "Europe/Berlin",
      schedules: 12,
      is_known: true,
      offset: "+02:00",
      changes: [{ at: "2026-10-25T01:00:00.000Z", before: "+02:00", after: "+01:00" }],
    },
    { timezone: "Mars/Olympus", schedules: 1, is_known: false, offset: null, changes: [] },
  ],
  moves: [] as object[],
};

test("zones are shown with their next changes, one that is not known as such", async () => {
  const { lines } = await run(zones, "timezones", "--tenant", "acme");
  expect(lines).toEqual([
    "time zone database 2026c; dispatchers: 2026c",
    "",
    "TIME ZONE      SCHEDULES  OFFSET        NEXT CHANGE                     THEN",
    "Europe/Berlin         12  +02:00        2026-10-25 01:00:00Z to +01:00  -",
    "Mars/Olympus           1  unknown zone  -                               -",
  ]);
});

test("what a new version moved follows the zones, each with the first instant that goes and the first that comes", async () => {
  const move = {
    tzdata: "2026c",
    timezones: ["Europe/Berlin"],
    tenant: { id: "t", slug: "acme" },
    schedule: { id: "s", name: "morning" },
    gone: ["2026-10-25T07:00:00.000Z", "2026-10-26T07:00:00.000Z"],
    come: ["2026-10-25T08:00:00.000Z"],
  };
  const { lines } = await run({ ...zones, dispatchers: null, moves: [move] }, "timezones");
  expect(lines[0]).toBe("time zone database 2026c; no dispatcher has looked yet");
  expect(lines.slice(5)).toEqual([
    "",
    "MOVED BY  TIME ZONE      TENANT  SCHEDULE  NO LONGER AT            BUT AT",
    "2026c     Europe/Berlin  acme    morning   2026-10-25 07:00:00Z …  2026-10-25 08:00:00Z",
  ]);
});
