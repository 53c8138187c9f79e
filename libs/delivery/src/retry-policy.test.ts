import { runReasons } from "@downbeat/store/run-states.ts";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Outcome } from "./outcome.ts";
import { nextDelay, type RetryInput } from "./retry-policy.ts";

const base = { httpStatus: null, publicText: "", retryAfter: null, disableEndpoint: false } as const;
const transient = (changes: Partial<Outcome> = {}) =>
  ({ ...base, kind: "transient", code: "http_503", ...changes }) as RetryInput["outcome"];
const limited = { ...base, kind: "limited", code: "http_404" } as const;
const nowMs = Date.UTC(2026, 10, 23, 6, 0, 0);
const decide = (changes: Partial<RetryInput>) => nextDelay({ attempt: 1, outcome: transient(), random: () => 0, nowMs, ...changes });
const delays = [5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000].map((seconds) => seconds * 1000);

test("the waits are 5 s, 30 s, 2 min, 10 min, 30 min, 2 h, 5 h, 10 h, and the ninth attempt is the last (rule W13)", () => {
  for (const [index, delayMs] of delays.entries()) expect(decide({ attempt: index + 1 })).toEqual({ retry: true, delayMs });
  expect(decide({ attempt: 9 })).toEqual({ retry: false, reason: "attempts_exhausted" });
});

test("jitter only ever adds, at most a fifth", () => {
  expect(decide({ random: () => 0.999_999 })).toEqual({ retry: true, delayMs: 6_000 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, drawn) => {
      const decision = decide({ attempt, random: () => drawn });
      const ownMs = delays[attempt - 1] ?? 0;
      const delayMs = decision.retry ? decision.delayMs : Number.NaN;
      expect(delayMs).toBeGreaterThanOrEqual(ownMs);
      expect(delayMs).toBeLessThanOrEqual(ownMs * 1.2 + 1);
      expect(delayMs).toBe(Math.round(delayMs));
    }),
  );
});

test.each(["http_429", "timeout", "body_too_slow", "connect_timeout"] as const)(
  "after %s a target is left alone for at least a minute",
  (code) => {
    expect(decide({ outcome: transient({ code }) })).toEqual({ retry: true, delayMs: 60_000 });
    expect(decide({ outcome: transient({ code }), attempt: 4 })).toEqual({ retry: true, delayMs: 600_000 });
  },
);

test("a limited outcome is tried twice more and then rejected; earlier transient attempts do not count against it when told apart", () => {
  expect(decide({ outcome: limited, attempt: 1 }).retry).toBe(true);
  expect(decide({ outcome: limited, attempt: 2 }).retry).toBe(true);
  expect(decide({ outcome: limited, attempt: 3 })).toEqual({ retry: false, reason: "rejected" });
  expect(decide({ outcome: limited, attempt: 5, limitedBefore: 0 })).toEqual({ retry: true, delayMs: 1_800_000 });
  expect(decide({ outcome: limited, attempt: 5, limitedBefore: 2 })).toEqual({ retry: false, reason: "rejected" });
});

test.each([
  [{ ...base, kind: "permanent", runReason: "rejected", code: "http_400" }, "rejected"],
  [{ ...base, kind: "permanent", runReason: "misconfigured", code: "misconfigured" }, "misconfigured"],
  [{ ...base, kind: "gone", code: "http_410" }, "gone"],
  [{ ...base, kind: "blocked", code: "blocked" }, "blocked"],
] as const)("%o is not tried again", (outcome, reason) => {
  expect(decide({ outcome })).toEqual({ retry: false, reason });
  expect(runReasons).toHaveProperty(reason);
});

test("the reason of running out of attempts is one the store knows", () => {
  expect(runReasons).toHaveProperty("attempts_exhausted");
});

test.each([
  ["120", 120_000],
  [" 120 ", 120_000],
  ["0", 5_000],
  ["1", 5_000],
  ["86400", 86_400_000],
  ["86401", 86_400_000],
  ["315360000", 86_400_000],
  ["9".repeat(400), 86_400_000],
  ["Mon, 23 Nov 2026 06:10:00 GMT", 600_000],
  ["Monday, 23-Nov-26 06:10:00 GMT", 600_000],
  ["Mon Nov 23 06:10:00 2026", 600_000],
  ["Fri, 23 Nov 2036 06:10:00 GMT", 86_400_000],
  ["Mon, 23 Nov 2026 05:59:59 GMT", 5_000],
  ["-120", 5_000],
  ["+120", 5_000],
  ["1.5", 5_000],
  ["1e3", 5_000],
  ["0x10", 5_000],
  ["120, 240", 5_000],
  ["soon", 5_000],
  ["foo 5", 5_000],
  ["Mon, 99 Nov 2026 06:10:00 GMT", 5_000],
  ["2026-11-23T06:10:00Z", 5_000],
  ["", 5_000],
])("`Retry-After: %s` makes the first wait %i ms (rule W14)", (retryAfter, delayMs) => {
  expect(decide({ outcome: transient({ retryAfter }) })).toEqual({ retry: true, delayMs });
});

test("whatever a target sends as Retry-After, the wait is never shorter than our own and never longer than a day", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.integer().map(String),
        fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
      ),
      (retryAfter) => {
        const decision = decide({ attempt: 3, outcome: transient({ retryAfter }) });
        const delayMs = decision.retry ? decision.delayMs : Number.NaN;
        expect(delayMs).toBeGreaterThanOrEqual(120_000);
        expect(delayMs).toBeLessThanOrEqual(86_400_000);
      },
    ),
  );
});

test("no attempt starts at or after the instant the run ends at: the next fire, or 72 h (rule W13)", () => {
  expect(decide({ endsAtMs: nowMs + 5_001 }).retry).toBe(true);
  expect(decide({ endsAtMs: nowMs + 5_000 })).toEqual({ retry: false, reason: "attempts_exhausted" });
  expect(decide({ endsAtMs: nowMs + 60_000, outcome: transient({ retryAfter: "3600" }) })).toEqual({
    retry: false,
    reason: "attempts_exhausted",
  });
});

test("a run may have its own number of attempts and its own waits, the last of which repeats", () => {
  expect(decide({ attempt: 4, attemptsMax: 4 })).toEqual({ retry: false, reason: "attempts_exhausted" });
  expect(decide({ attempt: 7, attemptsMax: 10, delaysMs: [1_000, 2_000] })).toEqual({ retry: true, delayMs: 2_000 });
  expect(decide({ attempt: 1, attemptsMax: 1 })).toEqual({ retry: false, reason: "attempts_exhausted" });
});

test("no attempt starts at or after the schedule's next fire: what is stale is not delivered (rule W13)", () => {
  expect(decide({ nextFireAtMs: nowMs + 5_001 })).toEqual({ retry: true, delayMs: 5_000 });
  expect(decide({ nextFireAtMs: nowMs + 5_000 })).toEqual({ retry: false, reason: "superseded" });
  expect(decide({ nextFireAtMs: nowMs - 60_000 })).toEqual({ retry: false, reason: "superseded" });
  expect(runReasons).toHaveProperty("superseded");
});

test("the jitter and the target's own wish count when the next fire is near", () => {
  expect(decide({ nextFireAtMs: nowMs + 5_500, random: () => 0.999_999 })).toEqual({ retry: false, reason: "superseded" });
  const wish = transient({ retryAfter: "120" });
  expect(decide({ outcome: wish, nextFireAtMs: nowMs + 60_000 })).toEqual({ retry: false, reason: "superseded" });
});

test("a run that has failed for another reason says so, whenever its schedule fires next", () => {
  expect(decide({ attempt: 9, nextFireAtMs: nowMs + 1 })).toEqual({ retry: false, reason: "attempts_exhausted" });
  const gone = { ...base, kind: "gone", code: "http_410" } as const;
  expect(decide({ outcome: gone, nextFireAtMs: nowMs + 1 })).toEqual({ retry: false, reason: "gone" });
});
