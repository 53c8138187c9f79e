import { samplesOf } from "@downbeat/testkit/metric-samples.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestApi, type TestApi, type TestTenant } from "../start-test-api.test-support.ts";

let api: TestApi;
let acme: TestTenant;
beforeAll(async () => {
  api = await startTestApi();
  acme = await api.addTenant("acme");
});
afterAll(() => api.close());
beforeEach(async () => {
  await api.admin`truncate downbeat.audit_passes`;
});

const finding = {
  kind: "lost",
  at: "2026-03-08T07:00:00.000Z",
  tenant: "acme",
  schedule: "hourly",
  schedule_id: "5d0f6a52-6a0e-4d1f-9d3c-0a1b2c3d4e5f",
};

/** An audit that finished so many seconds ago. */
async function record(ago: number, { lost = 0, unexpected = 0 } = {}): Promise<void> {
  await api.admin`
    insert into downbeat.audit_passes (started_at, finished_at, from_at, to_at, schedules, expected, recorded, lost, unexpected, findings)
    values (now() - ${ago + 2} * interval '1 second', now() - ${ago} * interval '1 second', now() - interval '1 day', now(), 7, 10080, ${10_080 - lost + unexpected}, ${lost}, ${unexpected},
      ${api.admin.json(lost === 0 ? [] : [{ ...finding, tenant_id: acme.id }])})`;
}

describe("GET /metrics", () => {
  const scrape = () => api.call("GET", "/metrics");
  /** The audit's samples by name. */
  const samples = (text: string) =>
    Object.fromEntries(Object.entries(samplesOf(text)).filter(([series]) => series.startsWith("downbeat_audit_")));

  it("needs no key and says nothing of audits before the first one: no number is not a zero", async () => {
    const { status, headers, text } = await scrape();
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(samples(text)).toEqual({});
  });

  it("tells what the last finished audit found, and how long ago", async () => {
    await record(7_200, { lost: 5 });
    await record(100);
    const { text } = await scrape();
    const { downbeat_audit_age_seconds: age, ...others } = samples(text);
    expect(others).toEqual({
      downbeat_audit_difference_occurrences: 0,
      downbeat_audit_expected_occurrences: 10_080,
      downbeat_audit_schedules: 7,
    });
    expect(age).toBeGreaterThanOrEqual(100);
    for (const name of ["difference_occurrences", "age_seconds", "expected_occurrences", "schedules"]) {
      expect(text).toMatch(new RegExp(`^# HELP downbeat_audit_${name} \\S.*\\n# TYPE downbeat_audit_${name} gauge$`, "m"));
    }
  });

  it("adds up what was lost and what is unexpected, and names no tenant", async () => {
    await record(0, { lost: 2, unexpected: 3 });
    const { text } = await scrape();
    expect(samples(text)["downbeat_audit_difference_occurrences"]).toBe(5);
    expect(text).not.toContain("acme");
    expect(text).not.toContain(finding.schedule);
  });

  it("takes nothing but GET, and is one quiet line in the log", async () => {
    expect((await api.call("POST", "/metrics")).status).toBe(405);
    const line = api.logged.findLast((logged) => logged["route"] === "/metrics" && logged["status"] === 200);
    expect(line).toMatchObject({ level: "debug", msg: "request" });
  });
});

describe("GET /api/v1/audits", () => {
  const list = (query = "", key = api.adminKey) => api.call("GET", `/api/v1/audits${query}`, { key });

  it("lists audits with their findings, newest first, page by page", async () => {
    await record(7_200);
    await record(3_600, { lost: 1 });
    await record(0);
    const first = await list("?limit=2");
    expect(first.status).toBe(200);
    expect(first.body.items).toMatchObject([
      { difference: 0, findings: [], schedules: 7, expected: 10_080, recorded: 10_080 },
      {
        lost: 1,
        unexpected: 0,
        difference: 1,
        recorded: 10_079,
        findings: [
          { kind: "lost", at: finding.at, tenant: { id: acme.id, slug: "acme" }, schedule: { id: finding.schedule_id, name: "hourly" } },
        ],
      },
    ]);
    const second = await list(`?limit=2&cursor=${first.body.next_cursor}`);
    expect(second.body).toMatchObject({ items: [{ difference: 0 }], next_cursor: null });
    const ids = [...first.body.items, ...second.body.items].map(({ id }: { id: string }) => id);
    expect(new Set(ids).size).toBe(3);
    expect((await list("?cursor=nonsense")).status).toBe(400);
  });

  it("is for administrators: findings name other tenants", async () => {
    expect((await list("", acme.key)).status).toBe(403);
    expect((await api.call("GET", "/api/v1/audits")).status).toBe(401);
  });
});
