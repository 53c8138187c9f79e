import { expect, test } from "vitest";
import { answerLine, answerPreview, previewJson } from "./preview-query.ts";

const nowAt = Date.parse("2026-06-01T12:00:00Z");
const instants = (query: object) => {
  const answer = answerPreview(query, nowAt);
  if (!answer.ok) throw new Error(answer.problems.join("\n"));
  return previewJson(answer.preview).map(({ at }) => at);
};

test("the first instant that counts is `from` itself, by default now", () => {
  expect(instants({ cron: "0 * * * *", count: 2 })).toEqual(["2026-06-01T12:00:00.000Z", "2026-06-01T13:00:00.000Z"]);
  expect(instants({ cron: "0 * * * *", from: "2026-01-01T00:30:00+01:00", count: 1 })).toEqual(["2026-01-01T00:00:00.000Z"]);
});

test("an interval without an anchor counts from `from`, so its first run is one interval later", () => {
  expect(instants({ interval_seconds: 90, from: "2026-01-01T00:00:00Z", count: 2 })).toEqual([
    "2026-01-01T00:01:30.000Z",
    "2026-01-01T00:03:00.000Z",
  ]);
  expect(instants({ interval_seconds: 90, anchor_at: "2025-12-31T23:59:00Z", from: "2026-01-01T00:00:30Z", count: 1 })).toEqual([
    "2026-01-01T00:00:30.000Z",
  ]);
});

test("policies for clock changes, presets and one-offs are understood", () => {
  const gap = { cron: "30 2 * * *", timezone: "America/New_York", from: "2026-03-08T00:00:00Z", count: 1 };
  expect(instants(gap)).toEqual(["2026-03-08T07:00:00.000Z"]);
  expect(instants({ ...gap, dst_gap: "shift" })).toEqual(["2026-03-08T07:30:00.000Z"]);
  expect(instants({ ...gap, dst_gap: "skip" })).toEqual(["2026-03-09T06:30:00.000Z"]);
  expect(instants({ frequency: "dailyAt('13:00')", count: 1 })).toEqual(["2026-06-01T13:00:00.000Z"]);
  expect(instants({ run_at: "2026-07-01T09:00:00", timezone: "Europe/Berlin" })).toEqual(["2026-07-01T07:00:00.000Z"]);
});

test.each([
  ["nothing that says when", {}, /kind is missing/],
  ["a field nobody knows", { cron: "* * * * *", tz: "UTC" }, /tz is not a field of a query/],
  ["a count", { cron: "* * * * *", count: 0 }, /count is 0; it must be a whole number from 1/],
  ["a beginning without offset", { cron: "* * * * *", from: "2026-01-01T00:00:00" }, /from is .* with an offset/],
  ["an expression", { cron: "60 * * * *" }, /^cron minute is "60"/],
  ["a zone", { cron: "0 9 * * *", timezone: "America/NewYork" }, /did you mean "America\/New_York"/],
  ["a policy", { cron: "0 9 * * *", dst_gap: "later" }, /dst_gap is "later"; it must be/],
] as const)("%s is refused by name, with what would be right", (_, query, problem) => {
  const answer = answerPreview(query, nowAt);
  expect(answer).toEqual({ ok: false, problems: [expect.stringMatching(problem)] });
});

test("a batch has one answer on each line, and an error stays on its own", () => {
  const lines = ['{"cron":"0 0 * * *","timezone":"UTC","from":"2026-01-01T00:00:00Z","count":2}', "not json", "[1]", '{"cron":"@dayly"}'];
  const [first, ...others] = lines.map((line) => JSON.parse(answerLine(line, nowAt)) as unknown);
  expect(first).toMatchObject([{ at: "2026-01-01T00:00:00.000Z" }, { at: "2026-01-02T00:00:00.000Z" }]);
  expect(others).toEqual([
    { error: expect.stringMatching(/not JSON/) },
    { error: "the line is not a JSON object" },
    { error: expect.stringMatching(/@daily/) },
  ]);
});
