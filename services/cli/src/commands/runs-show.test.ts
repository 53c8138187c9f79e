import { expect, test } from "vitest";
import type { RunDetail } from "../api-answers.ts";
import { describeRun } from "./runs-show.ts";

const run: RunDetail = {
  id: "019c1f2e-0000-8000-8000-00000000000a",
  tenant: { id: "t1", slug: "acme" },
  schedule: { id: "s1", name: "nightly" },
  scheduled_for: "2026-02-02T14:00:00.000Z",
  trigger: "schedule",
  state: "succeeded",
  reason: null,
  reason_text: null,
  attempt: 1,
  due_at: "2026-02-02T14:00:00.000Z",
  started_at: "2026-02-02T14:05:00.012Z",
  finished_at: "2026-02-02T14:05:00.050Z",
  lag_ms: 12,
  http_status: 204,
  spread_ms: null,
  blocked_by: null,
  range_from: null,
  range_count: null,
  created_at: "2026-02-02T13:59:00.000Z",
  attempts: [],
  timeline: [],
};
const holder = "019c1f2e-0000-8000-8000-00000000000b";
const lines = (fields: Partial<RunDetail>) => describeRun({ ...run, ...fields });

test("a spread run says how much later than its occurrence it starts", () => {
  expect(lines({ spread_ms: 300_000 })).toContain("spread         starts 5 min later");
});

test.each([
  ["skipped", "held by"],
  ["canceled", "replaced by"],
  ["pending", "waits behind"],
  ["succeeded", "waited behind"],
] as const)("what another run did to a %s one", (state, label) => {
  expect(lines({ state, blocked_by: holder })).toContain(`${label.padEnd(15)}${holder}`);
});

test("a stretch says how many occurrences it stands for, and from when to when", () => {
  const stretch = {
    state: "skipped",
    reason: "paused",
    range_from: "2026-02-01T14:00:00.000Z",
    range_count: 2,
    started_at: null,
    lag_ms: null,
  } as const;
  expect(lines(stretch)).toContain("all skipped    2 occurrences from 2026-02-01 14:00:00Z to 2026-02-02 14:00:00Z");
  expect(lines({ ...stretch, state: "missed", reason: "grace" })).toContain(
    "all missed     2 occurrences from 2026-02-01 14:00:00Z to 2026-02-02 14:00:00Z",
  );
});

test("a single occurrence that was decided against is no stretch", () => {
  expect(lines({ state: "missed", range_from: run.scheduled_for, range_count: 1 }).join("\n")).not.toContain("occurrences");
});

test("what made the run is told beside its instant", () => {
  expect(lines({ trigger: "backfill" })).toContain("scheduled for  2026-02-02 14:00:00Z (backfilled)");
  expect(lines({ trigger: "manual" })).toContain("scheduled for  2026-02-02 14:00:00Z (asked for)");
});
