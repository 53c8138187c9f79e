import { describe, expect, it } from "vitest";
import { at, date, journalEntry, scheduleRow } from "./instant-facts.test-support.ts";
import {
  changesOf,
  occurrenceAfter,
  occurrenceBefore,
  pauseAt,
  pausesOf,
  ruleHistory,
  spanAt,
  type DatedCalendar,
} from "./rule-history.ts";

const none = new Map<string, DatedCalendar>();

/** Nine in New York until the tenth of January, then eight in Berlin until the twentieth, then each hour. */
const journal = [
  journalEntry("2026-01-01T00:00:00Z", "created"),
  journalEntry("2026-01-10T00:00:00Z", "updated", {
    detail: {
      before: { cron_expression: "0 9 * * *", timezone: "America/New_York", ends_at: "2027-01-01T00:00:00.000Z" },
      after: { cron_expression: "0 8 * * *", timezone: "Europe/Berlin", ends_at: null },
    },
  }),
  journalEntry("2026-01-15T00:00:00Z", "updated", { detail: { before: { name: "old" }, after: { name: "new" } } }),
  journalEntry("2026-01-20T00:00:00Z", "updated", {
    detail: { before: { cron_expression: "0 8 * * *" }, after: { cron_expression: "0 * * * *" } },
  }),
];
const current = scheduleRow({ cron_expression: "0 * * * *", timezone: "Europe/Berlin", revised_at: date("2026-01-20T00:00:02Z") });
const spans = ruleHistory(current, journal, none);

describe("the rule in force at an instant", () => {
  it("is told backwards from the rule of today, edit by edit; edits of other things are none", () => {
    expect(spans.map(({ row }) => [row.cron_expression, row.timezone])).toEqual([
      ["0 9 * * *", "America/New_York"],
      ["0 8 * * *", "Europe/Berlin"],
      ["0 * * * *", "Europe/Berlin"],
    ]);
    expect(spans[0]?.row.ends_at).toEqual(date("2027-01-01T00:00:00Z"));
    expect(spans[0]?.timing.rule).toMatchObject({ endsAt: at("2027-01-01T00:00:00Z") });
  });

  it("is the older one up to the instant of an edit, which of the newest edit is when it had its locks", () => {
    const ruleOf = (instant: string) => spanAt(spans, at(instant)).row.cron_expression;
    expect(ruleOf("2025-06-01T00:00:00Z")).toBe("0 9 * * *");
    expect(ruleOf("2026-01-10T00:00:00Z")).toBe("0 9 * * *");
    expect(ruleOf("2026-01-10T00:00:00.001Z")).toBe("0 8 * * *");
    expect(ruleOf("2026-01-20T00:00:02Z")).toBe("0 8 * * *");
    expect(ruleOf("2026-01-20T00:00:02.001Z")).toBe("0 * * * *");
    expect(ruleOf("2036-01-01T00:00:00Z")).toBe("0 * * * *");
  });

  it("has its calendars as they said then", () => {
    const calendar: DatedCalendar = {
      id: "c1",
      name: "holidays",
      kind: "blackout",
      timezone: "UTC",
      entries: ["2026-03-01"],
      updatedAt: at("2026-01-20T00:00:00Z"),
      isUnknown: false,
    };
    const change = (detail: object) => [
      journalEntry("2026-01-20T00:00:00Z", "updated", { detail: { calendar: { id: "c1", name: "holidays", ...detail } } }),
    ];
    const row = scheduleRow({ calendar_ids: ["c1"] });
    const history = (detail: object) => ruleHistory(row, change(detail), new Map([["c1", calendar]]));
    const [before, after] = history({ before: { entries: ["2026-02-02"] }, after: { entries: ["2026-03-01"] } });
    expect([before?.calendars[0]?.entries, after?.calendars[0]?.entries]).toEqual([["2026-02-02"], ["2026-03-01"]]);
    // The journal says of very long calendars only how long they are.
    expect(history({ before: { entries: "900 entries" }, after: { entries: "901 entries" } })[0]?.calendars[0]).toMatchObject({
      isUnknown: true,
    });
  });

  it("goes without a calendar that has been deleted since", () => {
    expect(ruleHistory(scheduleRow({ calendar_ids: ["gone"] }), [], none)[0]).toMatchObject({ calendars: [], lostCalendars: ["gone"] });
  });
});

it("an edit's changes are columns, and parts of calendars", () => {
  expect(
    changesOf(
      journalEntry("2026-01-01T00:00:00Z", "updated", {
        detail: { before: { name: "a", grace_seconds: 1 }, after: { name: "b", grace_seconds: null } },
      }),
    ),
  ).toEqual([{ field: "grace_seconds", before: 1, after: null }]);
  expect(
    changesOf(
      journalEntry("2026-01-01T00:00:00Z", "updated", {
        detail: { calendar: { id: "c1", name: "h", before: { kind: "allow" }, after: { kind: "blackout" } } },
      }),
    ),
  ).toEqual([{ field: 'kind of calendar "h"', before: "allow", after: "blackout" }]);
});

describe("neighbours of an instant", () => {
  const createdAt = at("2026-01-01T00:00:00Z");
  const around = (instant: string) =>
    [occurrenceBefore(spans, at(instant), createdAt), occurrenceAfter(spans, at(instant), createdAt)].map(
      (found) => found && new Date(found).toISOString(),
    );

  it("are those of the rules of their time, also across an edit", () => {
    expect(around("2026-01-05T14:00:00Z")).toEqual(["2026-01-04T14:00:00.000Z", "2026-01-06T14:00:00.000Z"]);
    expect(around("2026-01-10T00:00:00Z")).toEqual(["2026-01-09T14:00:00.000Z", "2026-01-10T07:00:00.000Z"]);
    expect(around("2026-01-20T00:30:00Z")).toEqual(["2026-01-19T07:00:00.000Z", "2026-01-20T01:00:00.000Z"]);
  });

  it("are none from before the schedule was created", () => {
    expect(around("2026-01-01T14:00:00Z")[0]).toBeNull();
    expect(around("2025-06-01T00:00:00Z")).toEqual([null, "2026-01-01T14:00:00.000Z"]);
  });

  it("are none of a rule that cannot be evaluated", () => {
    const broken = ruleHistory(scheduleRow({ timezone: "Mars/Olympus" }), [], none);
    expect([
      occurrenceBefore(broken, at("2026-01-05T14:00:00Z"), createdAt),
      occurrenceAfter(broken, at("2026-01-05T14:00:00Z"), createdAt),
    ]).toEqual([null, null]);
  });
});

describe("pauses", () => {
  it("are told from the journal; a second pause of a paused schedule changes its end and reason", () => {
    const pauses = pausesOf(scheduleRow(), [
      journalEntry("2026-01-02T00:00:00Z", "paused", { reason: "first" }),
      journalEntry("2026-01-03T00:00:00Z", "paused", { actor: "key k2", reason: "second", detail: { until: "2026-01-09T00:00:00.000Z" } }),
      journalEntry("2026-01-04T00:00:00Z", "resumed", { actor: "key k3" }),
      journalEntry("2026-01-05T00:00:00Z", "auto_paused", { actor: "executor-1", reason: "failed" }),
      journalEntry("2026-01-06T00:00:00Z", "resumed"),
    ]);
    expect(pauses).toEqual([
      {
        fromAt: at("2026-01-02T00:00:00Z"),
        toAt: at("2026-01-04T00:00:00Z"),
        isEndIncluded: true,
        startedBy: "key k1",
        endedBy: "key k3",
        reason: "second",
      },
      {
        fromAt: at("2026-01-05T00:00:00Z"),
        toAt: at("2026-01-06T00:00:00Z"),
        isEndIncluded: true,
        startedBy: "executor-1",
        endedBy: "key k1",
        reason: "failed",
      },
    ]);
  });

  it("that end by themselves last until their time, although they are ended a little ahead of it", () => {
    const [pause] = pausesOf(scheduleRow(), [
      journalEntry("2026-01-02T00:00:00Z", "paused", { detail: { until: "2026-01-03T00:00:00.000Z" } }),
      journalEntry("2026-01-02T23:59:00Z", "resumed", { actor: "dispatcher", reason: "the pause was over" }),
    ]);
    expect(pause).toMatchObject({ toAt: at("2026-01-03T00:00:00Z"), isEndIncluded: false, endedBy: "dispatcher" });
  });

  it("that the journal has no word of are read from the schedule while they last", () => {
    const paused = scheduleRow({
      paused_at: date("2026-01-02T00:00:00Z"),
      pause_reason: "The rule cannot be evaluated: its timezone is gone",
    });
    const [pause] = pausesOf(paused, []);
    expect(pause).toMatchObject({ fromAt: at("2026-01-02T00:00:00Z"), toAt: null, endedBy: null, startedBy: "dispatcher" });
    expect(pauseAt([pause as never], at("2026-01-02T00:00:00Z"))).toBeNull();
    expect(pauseAt([pause as never], at("2026-01-02T00:00:00.001Z"))).toBe(pause);
  });
});
