import { describe, expect, it, test } from "vitest";
import { explainInstant } from "./explain-instant.ts";
import { type ArrangedFacts, arrangeFacts, at, date, journalEntry, runRow } from "./instant-facts.test-support.ts";

const explain = (facts: ArrangedFacts = {}) => explainInstant(arrangeFacts(facts));
const blocker = runRow({
  id: "00000000-0000-8000-8000-00000000000b",
  scheduled_for: date("2026-02-01T14:00:00Z"),
  state: "running",
  attempt: 1,
  started_at: date("2026-02-01T14:00:00Z"),
});
const finishedBlocker = runRow({ ...blocker, state: "failed", finished_at: date("2026-02-02T14:05:00Z") });

/** What is known, what it means, and the sentence. The occurrence is the one of nine in the morning in New York on the second of February, unless told. */
const cases: [string, ArrangedFacts, string, string][] = [
  [
    "a run that was late by nothing",
    { run: { attempt: 1, started_at: date("2026-02-02T14:00:00Z"), http_status: 200 } },
    "fired",
    "The occurrence of 2026-02-02T14:00:00Z ran and succeeded with HTTP 200: it was called at 2026-02-02T14:00:00Z, exactly at its time.",
  ],
  [
    "a run that was spread: late is what comes after its spread",
    { run: { attempt: 1, started_at: date("2026-02-02T14:05:00.012Z"), http_status: 200, spread_ms: 300_000 } },
    "fired",
    "The occurrence of 2026-02-02T14:00:00Z ran and succeeded with HTTP 200: it was called at 2026-02-02T14:05:00.012Z, 12 ms after its time.",
  ],
  [
    "a run that succeeded at last",
    { run: { attempt: 3, started_at: date("2026-02-02T14:03:00Z"), http_status: 204 } },
    "fired",
    "The occurrence of 2026-02-02T14:00:00Z ran and succeeded with HTTP 204: it was called at 2026-02-02T14:03:00Z for the 3rd time.",
  ],
  [
    "a run that is on its way again",
    { run: { state: "queued", attempt: 2, due_at: date("2026-02-03T00:01:00Z") } },
    "fired",
    "The occurrence of 2026-02-02T14:00:00Z has failed 2 times so far; it is tried again at 2026-02-03T00:01:00Z.",
  ],
  [
    "a run under way",
    { run: { state: "running", attempt: 1, started_at: date("2026-02-02T23:59:00Z") } },
    "fired",
    "The occurrence of 2026-02-02T14:00:00Z is running: attempt 1 started at 2026-02-02T23:59:00Z, 1 min ago.",
  ],
  [
    "a run that the queue has not taken",
    { run: { state: "pending" } },
    "queued",
    "The occurrence of 2026-02-02T14:00:00Z was to start 10 h ago and no executor has started it yet: it was claimed at 2026-02-02T13:59:00Z and the queue has not accepted it yet.",
  ],
  [
    "a run that nobody ever took up",
    { run: { state: "failed", reason: "lost_in_queue", finished_at: date("2026-02-02T16:00:00Z") } },
    "lost_in_queue",
    "The occurrence of 2026-02-02T14:00:00Z was never called: it was handed to the queue again and again until 2026-02-02T16:00:00Z, and no executor took it up.",
  ],
  [
    "a run that another one held up",
    { run: { state: "skipped", reason: "overlap", blocked_by: blocker.id }, blocker: finishedBlocker },
    "skipped_overlap",
    `The occurrence of 2026-02-02T14:00:00Z was skipped, because run ${blocker.id} of 2026-02-01T14:00:00Z was under way: it started at 2026-02-01T14:00:00Z and ended at 2026-02-02T14:05:00Z (failed).`,
  ],
  [
    "a run that was never begun, because a newer one was late as well",
    {
      run: { state: "skipped", reason: "overlap", blocked_by: blocker.id },
      blocker: runRow({ ...blocker, scheduled_for: date("2026-02-03T14:00:00Z") }),
    },
    "skipped_overlap",
    `The occurrence of 2026-02-02T14:00:00Z was skipped, because the newer run ${blocker.id} of 2026-02-03T14:00:00Z was to run in its place.`,
  ],
  [
    "a run that another one held up, of which the ledger has nothing any more",
    { run: { state: "skipped", reason: "overlap", blocked_by: blocker.id } },
    "skipped_overlap",
    `The occurrence of 2026-02-02T14:00:00Z was skipped, because run ${blocker.id} was under way.`,
  ],
  [
    "a run that a newer one replaced",
    {
      run: { state: "canceled", reason: "superseded", attempt: 1, blocked_by: blocker.id, finished_at: date("2026-02-03T14:00:00Z") },
      blocker: runRow({ ...blocker, scheduled_for: date("2026-02-03T14:00:00Z") }),
    },
    "superseded",
    `The occurrence of 2026-02-02T14:00:00Z was canceled at 2026-02-03T14:00:00Z, because the newer run ${blocker.id} of 2026-02-03T14:00:00Z took its place.`,
  ],
  [
    "a limit of runs",
    { schedule: { max_runs: 3 }, run: { state: "skipped", reason: "max_runs" } },
    "skipped_max_runs",
    "The occurrence of 2026-02-02T14:00:00Z was skipped, because the schedule had had as many runs as it may have (3 runs).",
  ],
  [
    "grace, while it waited for an executor",
    { schedule: { grace_seconds: 60 }, run: { state: "missed", reason: "grace", finished_at: date("2026-02-02T14:02:00Z") } },
    "missed_grace",
    "The occurrence of 2026-02-02T14:00:00Z was missed: no executor took it up until 2026-02-02T14:02:00Z, 2 min after its time, which is more than the schedule's grace of 1 min.",
  ],
  [
    "a downtime that left more than is made up for",
    {
      schedule: { misfire: "all" },
      run: {
        state: "missed",
        reason: "catchup_limit",
        range_from: date("2026-02-02T14:00:00Z"),
        range_count: 1,
        created_at: date("2026-02-02T15:00:00Z"),
      },
    },
    "missed_catchup_limit",
    'The occurrence of 2026-02-02T14:00:00Z was missed: no dispatcher evaluated it until 2026-02-02T15:00:00Z, 1 h after its time, and more were late by then than misfire "all" makes up for.',
  ],
  [
    "a downtime, by a policy that makes up for nothing",
    {
      schedule: { misfire: "skip" },
      run: {
        state: "missed",
        reason: "late",
        range_from: date("2026-02-02T14:00:00Z"),
        range_count: 1,
        created_at: date("2026-02-02T15:00:00Z"),
      },
    },
    "missed_late",
    'The occurrence of 2026-02-02T14:00:00Z was missed: no dispatcher evaluated it until 2026-02-02T15:00:00Z, 1 h after its time, and misfire "skip" runs nothing that is late.',
  ],
  [
    "a pause that was ended by itself",
    {
      journal: [
        journalEntry("2026-02-02T10:00:00Z", "paused", { reason: "stocktaking", detail: { until: "2026-02-02T15:00:00.000Z" } }),
        journalEntry("2026-02-02T14:58:50Z", "resumed", { actor: "dispatcher" }),
      ],
      run: { state: "skipped", reason: "paused", range_from: date("2026-02-02T14:00:00Z"), range_count: 1 },
    },
    "paused",
    'The occurrence of 2026-02-02T14:00:00Z was skipped, because the schedule was paused from 2026-02-02T10:00:00Z until 2026-02-02T15:00:00Z: "stocktaking".',
  ],
  [
    "a pause that failures brought about",
    {
      schedule: { paused_at: date("2026-02-02T10:00:00Z"), pause_reason: "Paused by itself after 3 failures in a row" },
      journal: [
        journalEntry("2026-02-02T10:00:00Z", "auto_paused", { actor: "executor-1", reason: "Paused by itself after 3 failures in a row" }),
      ],
      watermark: null,
    },
    "paused",
    'The occurrence of 2026-02-02T14:00:00Z did not run, because the schedule has been paused since 2026-02-02T10:00:00Z, until somebody resumes it: "Paused by itself after 3 failures in a row".',
  ],
  [
    "a calendar that was changed while the run was claimed ahead",
    {
      run: { state: "canceled", reason: "schedule_changed", finished_at: date("2026-02-02T13:59:30Z") },
      withdrawal: journalEntry("2026-02-02T13:59:30Z", "updated", {
        detail: { calendar: { id: "c", name: "holidays", before: { entries: [] }, after: { entries: ["2026-02-02"] } } },
      }),
    },
    "canceled_by_edit",
    'The occurrence of 2026-02-02T14:00:00Z was withdrawn at 2026-02-02T13:59:30Z, 30 s before its time, because the schedule was edited by key k1, who changed entries of calendar "holidays" from [] to ["2026-02-02"].',
  ],
  [
    "an edit of what is called, of a run claimed ahead",
    {
      run: { state: "canceled", reason: "schedule_changed", finished_at: date("2026-02-02T13:59:30Z") },
      withdrawal: journalEntry("2026-02-02T13:59:30Z", "updated", { detail: { before: { target: {} }, after: { target: {} } } }),
    },
    "canceled_by_edit",
    "The occurrence of 2026-02-02T14:00:00Z was withdrawn at 2026-02-02T13:59:30Z, 30 s before its time, because the schedule was edited by key k1, who changed what is called.",
  ],
  [
    "nothing at all, although the rule names it",
    { watermark: at("2026-02-03T14:00:00Z") },
    "lost",
    "The occurrence of 2026-02-02T14:00:00Z should be in the ledger and is not, and nothing explains that: look at the self-audit.",
  ],
  [
    "nothing at all, and the self-audit has found it",
    {
      watermark: at("2026-02-03T14:00:00Z"),
      journal: [
        journalEntry("2026-02-02T15:00:00Z", "audit_difference", {
          actor: "dispatcher",
          detail: { lost: ["2026-02-02T14:00:00.000Z"], lost_count: 1 },
        }),
      ],
    },
    "lost",
    "The occurrence of 2026-02-02T14:00:00Z should be in the ledger and is not, and nothing explains that: look at the self-audit, which found it at 2026-02-02T15:00:00Z.",
  ],
  [
    "nothing at all, of a schedule that fell out of the due index",
    { watermark: null },
    "lost",
    "The occurrence of 2026-02-02T14:00:00Z should be in the ledger and is not, and nothing explains that: look at the self-audit.",
  ],
  [
    "nothing, where a newer time zone database may be why",
    {
      watermark: at("2026-02-03T14:00:00Z"),
      journal: [journalEntry("2026-02-02T20:00:00Z", "moved", { actor: "dispatcher", detail: { from: "2026-02-03T14:00:00.000Z" } })],
    },
    "lost",
    "The occurrence of 2026-02-02T14:00:00Z should be in the ledger and is not, and nothing explains that: look at the self-audit, but note that its zone's clocks were ruled otherwise then: the time zone database of today counts from 2026-02-03T14:00:00Z on.",
  ],
  [
    "one that no dispatcher has looked at",
    { watermark: at("2026-02-02T14:00:00Z"), lastPassAt: null },
    "overdue",
    "The occurrence of 2026-02-02T14:00:00Z was to start 10 h ago and no dispatcher has evaluated it yet; no dispatcher has made a pass yet.",
  ],
  [
    "one that is put off, because the schedule may have had all its runs",
    { schedule: { max_runs: 1 }, watermark: at("2026-02-02T14:00:00Z"), lookAt: at("2026-02-03T00:01:00Z") },
    "overdue",
    "The occurrence of 2026-02-02T14:00:00Z was to start 10 h ago and is put off until it is known whether the schedule has had all its runs (1 run); a dispatcher looks again at 2026-02-03T00:01:00Z.",
  ],
  [
    "one to come of a schedule that may have had all its runs by then",
    { schedule: { max_runs: 9 }, at: "2026-02-03T14:00:00Z" },
    "not_yet_due",
    "The occurrence of 2026-02-03T14:00:00Z is still to come: it will start at 2026-02-03T14:00:00Z, in 14 h, if the schedule has not had all its runs by then (9 runs).",
  ],
  [
    "one of a deleted schedule",
    { schedule: { deleted_at: date("2026-02-01T12:00:00Z") }, watermark: null },
    "deleted",
    "The occurrence of 2026-02-02T14:00:00Z did not run, because the schedule was deleted at 2026-02-01T12:00:00Z.",
  ],
  [
    "the second showing of a time, by a policy that runs the first",
    { schedule: { cron_expression: "30 1 * * *" }, at: "2026-11-01T06:30:00Z", now: "2026-11-02T00:00:00Z" },
    "dst_overlap",
    "Nothing was to run at 2026-11-01T06:30:00Z: the clocks show 2026-11-01T01:30:00 twice; this is the last showing, and dst_overlap is first; the occurrence before was at 2026-11-01T05:30:00Z, the next is at 2026-11-02T06:30:00Z.",
  ],
  [
    "a local time that no clock shows, of a slot that is skipped",
    { schedule: { cron_expression: "30 2 * * *", dst_gap: "skip" }, wall: "2026-03-08T02:30:00" },
    "dst_gap",
    "The clocks of America/New_York never show 2026-03-08T02:30:00: they go from 2026-03-08T02:00:00 to 2026-03-08T03:00:00 at 2026-03-08T07:00:00Z; by dst_gap skip its slot does not run.",
  ],
  [
    "a local time that no clock shows, of a slot that is moved",
    { schedule: { cron_expression: "30 2 * * *" }, wall: "2026-03-08T02:30:00" },
    "not_yet_due",
    "The occurrence of 2026-03-08T07:00:00Z (for 2026-03-08T02:30:00, which the clocks of America/New_York skip) is still to come: it will start at 2026-03-08T07:00:00Z, in 33 d 7 h.",
  ],
  [
    "a local time that no clock shows and no slot names",
    { wall: "2026-03-08T02:30:00" },
    "never_matched",
    'Nothing is to run then, because "0 9 * * *" in America/New_York does not name it; besides, the clocks of America/New_York never show 2026-03-08T02:30:00: they go from 2026-03-08T02:00:00 to 2026-03-08T03:00:00 at 2026-03-08T07:00:00Z.',
  ],
  [
    "a rule that cannot be evaluated",
    { schedule: { timezone: "Mars/Olympus" } },
    "unusable_rule",
    'Nobody can say what was to run at 2026-02-02T14:00:00Z, because the rule cannot be evaluated: its timezone "Mars/Olympus" is not a known time zone.',
  ],
];

test.each(cases)("%s", (_, facts, outcome, headline) => {
  expect(explain(facts)).toMatchObject({ outcome, headline });
});

describe("the ledger has the last word", () => {
  it.each([
    ["a pause", { schedule: { paused_at: date("2026-02-01T00:00:00Z") } }],
    ["a deletion", { schedule: { deleted_at: date("2026-02-01T00:00:00Z") } }],
    ["maintenance", { tenant: { maintenance_from: date("2026-02-01T00:00:00Z") } }],
    ["a rule that does not name it", { schedule: { cron_expression: "0 10 * * *" } }],
    ["a rule that cannot be evaluated", { schedule: { timezone: "Mars/Olympus" } }],
  ] satisfies [string, ArrangedFacts][])("over %s", (_, facts) => {
    expect(explain({ ...facts, run: { attempt: 1, started_at: date("2026-02-02T14:00:00Z") } }).outcome).toBe("fired");
  });
});

describe("what kept an occurrence from being evaluated comes in the order of a claim", () => {
  const paused = { paused_at: date("2026-02-01T00:00:00Z") };
  const maintenance = { maintenance_from: date("2026-02-01T00:00:00Z") };

  it("a pause before maintenance", () => {
    expect(explain({ schedule: paused, tenant: maintenance, watermark: null }).outcome).toBe("paused");
  });

  it("maintenance only of what is not evaluated yet: before that it would have a row", () => {
    expect(explain({ tenant: maintenance, watermark: at("2026-02-02T14:00:00Z") }).outcome).toBe("maintenance");
    expect(explain({ tenant: maintenance, watermark: at("2026-02-03T14:00:00Z") }).outcome).toBe("lost");
  });

  it("what starts exactly when a pause ends by itself runs, and what starts when somebody ends it does not", () => {
    const pause = journalEntry("2026-02-02T10:00:00Z", "paused", { detail: { until: "2026-02-02T14:00:00.000Z" } });
    const journal = (actor: string) => [pause, journalEntry("2026-02-02T14:00:00Z", "resumed", { actor })];
    const facts = { watermark: at("2026-02-03T14:00:00Z") };
    expect(explain({ ...facts, journal: journal("dispatcher") }).outcome).toBe("lost");
    expect(explain({ ...facts, journal: journal("key k1") }).outcome).toBe("paused");
  });

  it("a spread occurrence falls into what is on when it starts, not when it occurs", () => {
    const schedule = { spread_seconds: 3_600 };
    const { dueAt } = arrangeFacts({ schedule }).rule;
    const from = (instant: number) => ({ maintenance_from: new Date(instant) });
    const watermark = at("2026-02-02T14:00:00Z");
    expect(dueAt).toBeGreaterThan(at("2026-02-02T14:00:00Z"));
    expect(explain({ schedule, tenant: from(dueAt), watermark }).outcome).toBe("maintenance");
    expect(explain({ schedule, tenant: from(dueAt + 1), watermark }).outcome).toBe("overdue");
  });
});

describe("a schedule that has had all its runs", () => {
  const completed = journalEntry("2026-02-02T16:00:00Z", "completed", { actor: "dispatcher", reason: "max_runs" });
  const facts: ArrangedFacts = {
    schedule: { max_runs: 1, completed_at: date("2026-02-02T16:00:00Z"), completed_reason: "max_runs" },
    journal: [completed],
    watermark: null,
  };

  it("is over from its last run on, although that was noted later", () => {
    expect(explain(facts).outcome).toBe("completed");
    expect(explain({ ...facts, at: "2026-02-10T14:00:00Z" }).outcome).toBe("completed");
  });

  it("has lost what comes before a later run", () => {
    expect(explain({ ...facts, at: "2026-02-01T14:00:00Z", followedBy: at("2026-02-02T14:00:00Z") }).outcome).toBe("lost");
  });

  it("that was given more goes on from the edit", () => {
    const revived = journalEntry("2026-02-05T00:00:00Z", "updated", { detail: { before: { max_runs: 1 }, after: { max_runs: 9 } } });
    const later = {
      schedule: { max_runs: 9, revised_at: date("2026-02-05T00:00:00Z") },
      journal: [completed, revived],
      now: "2026-02-09T00:00:00Z",
    };
    expect(explain({ ...later, at: "2026-02-04T14:00:00Z", watermark: at("2026-02-06T14:00:00Z") }).outcome).toBe("completed");
    expect(explain({ ...later, at: "2026-02-06T14:00:00Z", watermark: at("2026-02-06T14:00:00Z") }).outcome).toBe("overdue");
  });
});

describe("steps", () => {
  it("go no further than the first thing that decides", () => {
    const names = (facts: ArrangedFacts) => explain(facts).steps.map(({ step }) => step);
    expect(names({ at: "2025-12-01T14:00:00Z" })).toEqual(["schedule", "outcome"]);
    expect(names({ at: "2026-02-02T14:00:01Z" })).toEqual(["schedule", "rule", "pattern", "outcome"]);
    expect(names({ schedule: { ends_at: date("2026-02-01T00:00:00Z") } })).toEqual(["schedule", "rule", "pattern", "bounds", "outcome"]);
    expect(names({ watermark: at("2026-02-03T14:00:00Z") })).toEqual(["schedule", "rule", "pattern", "pause", "outcome"]);
  });

  it("name every part of a long way", () => {
    const { steps } = explain({
      schedule: { max_runs: 5, spread_seconds: 600, starts_at: date("2026-01-01T00:00:00Z"), overlap: "queue_all" },
      tenant: { maintenance_from: date("2026-01-05T00:00:00Z"), maintenance_until: date("2026-01-06T00:00:00Z"), runs_per_day_max: 100 },
      tenantRuns: 7,
      blocker: finishedBlocker,
      run: {
        attempt: 1,
        state: "succeeded",
        started_at: date("2026-02-02T14:09:00Z"),
        spread_ms: 60_000,
        blocked_by: blocker.id,
        created_at: date("2026-02-02T14:03:00Z"),
      },
    });
    expect(steps.map(({ step, passed }) => `${step} ${passed}`)).toEqual([
      "schedule true",
      "rule true",
      "pattern true",
      "bounds true",
      "pause true",
      "maintenance true",
      "completion true",
      "spread true",
      "misfire true",
      "budget true",
      "queue true",
      "overlap true",
      "attempts true",
      "outcome true",
    ]);
  });

  it("speak of lateness only where dispatchers were late", () => {
    const late = { range_from: date("2026-02-02T14:00:00Z"), range_count: 1, created_at: date("2026-02-02T15:00:00Z") };
    const misfire = (run: ArrangedFacts["run"]) => explain({ run: { ...late, ...run } }).steps.find(({ step }) => step === "misfire");
    expect(misfire({ state: "missed", reason: "late" })).toMatchObject({ passed: false, data: { late_ms: 3_600_000, row: runRow().id } });
    expect(misfire({ state: "skipped", reason: "overlap" })).toMatchObject({
      passed: true,
      text: expect.stringContaining("1 h after its time"),
    });
    expect(misfire({ state: "skipped", reason: "overlap", created_at: date("2026-02-02T14:00:30Z") })).toBeUndefined();
    for (const reason of ["paused", "maintenance"] as const) expect(misfire({ state: "skipped", reason })).toBeUndefined();
  });

  it("read as sentences", () => {
    for (const [, facts] of cases) {
      for (const { step, text } of explain(facts).steps) expect(`${step}: ${text}`).toMatch(/^\w+: ["A-Z].*\.$/);
    }
  });

  it("show the last few of many attempts", () => {
    const attempts = [1, 2, 3, 4, 5, 6].map((attempt) => ({
      attempt,
      outcome: "transient" as const,
      code: "http_503",
      http_status: 503,
      started_at: "2026-02-02T14:00:00.000Z",
      finished_at: "2026-02-02T14:00:00.020Z",
      duration_ms: 20,
      response_excerpt: null,
      executor: "executor-1",
    }));
    const run = { state: "failed", reason: "attempts_exhausted", attempt: 6 } as const;
    const { detail } = arrangeFacts({ run });
    if (detail === null) throw new Error("no run was arranged");
    const { steps } = explain({ run, detail: { ...detail, attempts } });
    expect(steps.find(({ step }) => step === "attempts")?.text).toBe(
      "2 earlier attempts failed; attempt 3: http_503 in 20 ms; attempt 4: http_503 in 20 ms; attempt 5: http_503 in 20 ms; attempt 6: http_503 in 20 ms.",
    );
  });
});
