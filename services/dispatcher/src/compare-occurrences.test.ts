import type { RecordedSum } from "@downbeat/store/count-recorded.ts";
import type { RecordedRow } from "@downbeat/store/read-recorded.ts";
import type { Rule } from "@downbeat/timing/rule.ts";
import { describe, expect, test } from "vitest";
import { agrees, auditWindow, countRecordedIn, endWithLast, findDifference } from "./compare-occurrences.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const day = Date.parse("2026-06-01T00:00:00Z");
const window = { from: day, to: day + dayMs };

const hourly: Rule = { kind: "cron", cronExpression: "0 * * * *", timezone: "UTC" };
const hours = Array.from({ length: 24 }, (_, hour) => day + hour * hourMs);

function row(at: number, more: Partial<RecordedRow> = {}): RecordedRow {
  return { at, rangeFrom: null, rangeCount: null, revision: 2, state: "succeeded", reason: null, ...more };
}

function stretch(from: number, to: number, count: number, more: Partial<RecordedRow> = {}): RecordedRow {
  return row(to, { rangeFrom: from, rangeCount: count, state: "missed", reason: "coalesced", ...more });
}

function difference(rows: RecordedRow[], rule: Rule = hourly, revisedAt = day - 1) {
  return findDifference(rule, { window, rows, revision: 2, revisedAt });
}

const without = (...gone: number[]) => hours.filter((at) => !gone.includes(at)).map((at) => row(at));

describe("the window of a schedule", () => {
  const nowAt = day + dayMs + 0.25;
  const times = { nowAt, validFrom: day - 30 * dayMs, watermark: nowAt + hourMs, pausedAt: null };

  test("is the last day up to now: what is claimed ahead of its time is compared when it is past", () => {
    expect(auditWindow(times, dayMs)).toEqual({ from: day + 1, to: day + dayMs + 1 });
  });

  test("begins after the last change of what decides about it", () => {
    expect(auditWindow({ ...times, validFrom: day + 3.5 }, dayMs).from).toBe(day + 4);
    // What is due at the instant of an edit was due before it.
    expect(auditWindow({ ...times, validFrom: day + 3 }, dayMs).from).toBe(day + 4);
  });

  test("ends at the watermark where that is older, as of a schedule that is put off", () => {
    expect(auditWindow({ ...times, watermark: day + hourMs }, dayMs).to).toBe(day + hourMs);
  });

  test("ends where a pause began; one that ends by itself has a watermark, which counts", () => {
    expect(auditWindow({ ...times, watermark: null, pausedAt: day + hourMs }, dayMs).to).toBe(day + hourMs);
    expect(auditWindow({ ...times, watermark: day + 2 * hourMs, pausedAt: day + hourMs }, dayMs).to).toBe(day + 2 * hourMs);
  });

  test("goes up to now for a schedule that nothing is to come of", () => {
    expect(auditWindow({ ...times, watermark: null }, dayMs).to).toBe(day + dayMs + 1);
  });

  test("is empty for what changed after its watermark", () => {
    const { from, to } = auditWindow({ ...times, validFrom: day + 2 * hourMs, watermark: day + hourMs }, dayMs);
    expect(from).toBeGreaterThanOrEqual(to);
  });

  test("of a schedule that has had all its runs ends with the last one, and without any is empty", () => {
    const sum: RecordedSum = { rows: 3, first: day, last: day + 2 * hourMs, special: [] };
    expect(endWithLast(window, sum)).toEqual({ from: day, to: day + 2 * hourMs + 1 });
    const skipped = stretch(day + hourMs, day + 3 * hourMs, 3);
    expect(endWithLast(window, { ...sum, special: [skipped] }).to).toBe(day + 3 * hourMs + 1);
    const empty = endWithLast(window, { ...sum, rows: 0, first: null, last: null });
    expect(empty.from).toBe(empty.to);
  });
});

describe("counts agree", () => {
  const full: RecordedSum = { rows: 24, first: day, last: day + 23 * hourMs, special: [] };

  test("when there is a row for each occurrence", () => {
    expect(agrees(hourly, window, full, 24)).toBe(true);
    expect(agrees(hourly, window, { ...full, rows: 23 }, 24)).toBe(false);
    expect(agrees(hourly, window, { ...full, rows: 25 }, 24)).toBe(false);
    expect(agrees(hourly, { from: day + 1, to: day + 2 }, { ...full, rows: 0, first: null, last: null }, 0)).toBe(true);
  });

  test("not when they are the same by chance: the first and the last occurrence are compared too", () => {
    expect(agrees(hourly, window, { ...full, first: day + 30 * minuteMs }, 24)).toBe(false);
    expect(agrees(hourly, window, { ...full, last: day + 22 * hourMs }, 24)).toBe(false);
  });

  test("with stretches, each counting for as many as it says", () => {
    const sum: RecordedSum = { ...full, rows: 21, first: day + 3 * hourMs, special: [stretch(day, day + 3 * hourMs, 4)] };
    expect(countRecordedIn(hourly, window, sum)).toBe(24);
    expect(agrees(hourly, window, sum, 24)).toBe(true);
    expect(agrees(hourly, window, { ...sum, special: [stretch(day, day + 3 * hourMs, 5)] }, 24)).toBe(false);
    expect(agrees(hourly, window, { ...sum, special: [stretch(day + minuteMs, day + 3 * hourMs, 4)] }, 24)).toBe(false);
  });

  test("with stretches that reach over an edge, of which the part inside counts", () => {
    const special = [stretch(day - 5 * hourMs, day + 3 * hourMs, 9), stretch(day + 20 * hourMs, day + 30 * hourMs, 11)];
    const sum: RecordedSum = { rows: 17, first: day + 3 * hourMs, last: day + 19 * hourMs, special };
    expect(countRecordedIn(hourly, window, sum)).toBe(24);
    expect(agrees(hourly, window, sum, 24)).toBe(true);
    expect(agrees(hourly, window, { ...sum, rows: 16 }, 24)).toBe(false);
  });

  test("never where an edit withdrew something: that has to be looked at", () => {
    const withdrawn = row(day, { revision: 1, state: "canceled", reason: "schedule_changed" });
    expect(agrees(hourly, window, { ...full, special: [withdrawn] }, 24)).toBe(false);
  });
});

describe("the difference between rule and ledger", () => {
  test("is none when every occurrence has its row, whatever became of it", () => {
    const rows = [
      row(day, { state: "failed" }),
      row(day + hourMs, { state: "canceled", reason: "superseded" }),
      ...without(day, day + hourMs),
    ];
    expect(difference(rows)).toEqual({ expected: 24, recorded: 24, lost: [], unexpected: [], unexpectedCount: 0 });
  });

  test("names occurrences without a row as lost", () => {
    const gone = [day + 7 * hourMs, day + 23 * hourMs];
    expect(difference(without(...gone))).toEqual({ expected: 24, recorded: 22, lost: gone, unexpected: [], unexpectedCount: 0 });
  });

  test("names rows without an occurrence as unexpected", () => {
    const stray = day + 7 * hourMs + minuteMs;
    expect(difference([...without(), row(stray)])).toEqual({
      expected: 24,
      recorded: 25,
      lost: [],
      unexpected: [stray],
      unexpectedCount: 1,
    });
  });

  test("names an occurrence that has two rows", () => {
    const rows = [...without(), stretch(day + 2 * hourMs, day + 3 * hourMs, 2)];
    expect(difference(rows)).toMatchObject({ recorded: 26, lost: [], unexpected: [day + 2 * hourMs, day + 3 * hourMs] });
  });

  test("is told where a loss and a stray row make the counts equal", () => {
    const [gone, stray] = [day + 5 * hourMs, day + 5 * hourMs + 1];
    expect(difference([...without(gone), row(stray)])).toMatchObject({ expected: 24, recorded: 24, lost: [gone], unexpected: [stray] });
  });

  test("takes a stretch at its count: what it leaves out is lost, what it claims too much is unexpected", () => {
    const rest = without(...hours.slice(2, 6));
    expect(difference([...rest, stretch(day + 2 * hourMs, day + 5 * hourMs, 4)])).toMatchObject({ recorded: 24, lost: [], unexpected: [] });
    expect(difference([...rest, stretch(day + 2 * hourMs, day + 5 * hourMs, 3)])).toMatchObject({
      recorded: 23,
      lost: [day + 5 * hourMs],
      unexpected: [],
    });
    expect(difference([...rest, stretch(day + 2 * hourMs, day + 5 * hourMs, 6)])).toMatchObject({
      recorded: 26,
      lost: [],
      unexpected: [day + 5 * hourMs],
      unexpectedCount: 2,
    });
  });

  test("looks at the part of a stretch that lies in the window", () => {
    const rows = [
      stretch(day - 100 * hourMs, day + 3 * hourMs, 104),
      ...without(...hours.slice(0, 4), ...hours.slice(20)),
      stretch(day + 20 * hourMs, day + 40 * hourMs, 21),
    ];
    expect(difference(rows)).toEqual({ expected: 24, recorded: 24, lost: [], unexpected: [], unexpectedCount: 0 });
  });

  test("of a rule that changed: what the edit withdrew is neither expected nor unexpected", () => {
    const everyTwoHours: Rule = { ...hourly, cronExpression: "0 */2 * * *" };
    const withdrawn = row(day + hourMs, { revision: 1, state: "canceled", reason: "schedule_changed" });
    const rows = [withdrawn, ...hours.filter((_, hour) => hour % 2 === 0).map((at) => row(at))];
    expect(difference(rows, everyTwoHours)).toEqual({ expected: 12, recorded: 12, lost: [], unexpected: [], unexpectedCount: 0 });
  });

  test("of a rule that changed: a row from before counts for an occurrence that no newer row has", () => {
    const older = row(day, { revision: 1, state: "canceled", reason: "schedule_changed" });
    expect(difference([older, ...without(day)])).toMatchObject({ recorded: 24, lost: [], unexpected: [] });
    expect(difference([older, ...without()])).toMatchObject({ recorded: 24, lost: [], unexpected: [] });
  });

  test("of a rule that changed: a run that went on although the edit came before it is unexpected, unless it was leased in that moment", () => {
    const stray = row(day + 90 * minuteMs, { revision: 1 });
    expect(difference([stray, ...without()])).toMatchObject({ recorded: 25, unexpected: [stray.at] });
    expect(difference([stray, ...without()], hourly, stray.at - 200)).toMatchObject({ recorded: 24, unexpected: [] });
  });
});
