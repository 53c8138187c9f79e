import { describe, expect, it } from "vitest";
import { date, runRow } from "../explain/instant-facts.test-support.ts";
import { timelineOf } from "./run-timeline.ts";

const told = (...parameters: Parameters<typeof timelineOf>) =>
  timelineOf(...parameters).map(({ at, event, detail, actor }) => [at.toISOString().slice(11, 19), event, detail, actor]);
const holder = "00000000-0000-8000-8000-00000000000b";

describe("the life of", () => {
  it("a run that waited behind another and then ran", () => {
    const row = runRow({
      blocked_by: holder,
      attempt: 1,
      queued_at: date("2026-02-02T13:59:01Z"),
      finished_at: date("2026-02-02T14:05:01Z"),
    });
    const waiting = { at: date("2026-02-02T14:00:00Z"), actor: "executor-1", event: "waiting", reason: `behind run ${holder}` };
    expect(told(row, [], [waiting])).toEqual([
      ["13:59:00", "created", null, null],
      ["13:59:01", "queued", null, null],
      ["14:00:00", "waiting", `behind run ${holder}`, "executor-1"],
      ["14:05:01", "succeeded", null, null],
    ]);
  });

  it("a run that was skipped at its instant says which one held its place", () => {
    const row = runRow({ state: "skipped", reason: "overlap", blocked_by: holder, finished_at: date("2026-02-02T14:00:00Z") });
    const skipped = { at: date("2026-02-02T14:00:00Z"), actor: "executor-1", event: "skipped", reason: "overlap" };
    expect(told(row, [], [skipped]).at(-1)).toEqual(["14:00:00", "skipped", `overlap: run ${holder} held its place`, "executor-1"]);
  });

  it("a run that was replaced says by which one", () => {
    const row = runRow({ state: "canceled", reason: "superseded", blocked_by: holder, finished_at: date("2026-02-02T14:00:00Z") });
    expect(told(row, [], []).at(-1)).toEqual(["14:00:00", "canceled", `superseded: run ${holder} replaced it`, null]);
  });

  it("a run that waited too long for an executor ends as missed", () => {
    const row = runRow({ state: "missed", reason: "grace", finished_at: date("2026-02-02T16:00:00Z") });
    const missed = { at: date("2026-02-02T16:00:00Z"), actor: "executor-1", event: "missed", reason: "grace" };
    expect(told(row, [], [missed])).toEqual([
      ["13:59:00", "created", null, null],
      ["16:00:00", "missed", "grace", "executor-1"],
    ]);
  });

  it("a stretch is its end: it was never created as a run", () => {
    const decidedAt = date("2026-02-02T20:00:00Z");
    const stretch = { range_from: date("2026-02-02T10:00:00Z"), range_count: 5, created_at: decidedAt, finished_at: decidedAt };
    expect(told(runRow({ ...stretch, state: "missed", reason: "coalesced" }), [], [])).toEqual([
      ["20:00:00", "missed", "coalesced: 5 occurrences from 2026-02-02T10:00:00.000Z to 2026-02-02T14:00:00.000Z", null],
    ]);
    expect(told(runRow({ ...stretch, range_count: 1, state: "skipped", reason: "overlap", blocked_by: holder }), [], [])).toEqual([
      ["20:00:00", "skipped", `overlap: run ${holder} held its place`, null],
    ]);
  });
});
