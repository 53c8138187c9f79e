/**
 * States of a run, in the order of its life. The CHECK in the schema holds the same list (a test compares them); the picture is in
 * `docs/state-machine.md`.
 */
export const runStates = [
  /** Claimed by a dispatcher, not yet accepted by the queue. The dispatcher that sends it moves it on. */
  "pending",
  /** The queue has a message that names it. The executor that leases it moves it on. */
  "queued",
  /** Leased: an executor is about to call, or calling. Its lease holder moves it on, or the sweep when the lease is over. */
  "running",
  /** An attempt failed and another is planned at `due_at`. The sweep sends it again. */
  "retrying",
  /** Final: the target answered 2xx. */
  "succeeded",
  /** Final until a person redrives it: see `reason`. */
  "failed",
  /** Final: withdrawn before it started. */
  "canceled",
  /** Final: a policy decided against running it, when it was claimed or at its instant. One row may stand for a whole stretch. */
  "skipped",
  /** Final: it could not be run in time. One row may stand for a whole stretch. */
  "missed",
] as const;

export type RunState = (typeof runStates)[number];

export const finalRunStates: ReadonlySet<RunState> = new Set(["succeeded", "failed", "canceled", "skipped", "missed"]);

/** States of a run that has not ended. */
export const liveRunStates = ["pending", "queued", "running", "retrying"] as const satisfies readonly RunState[];

/** Why a run failed, was canceled, skipped or missed: code and the text people read. */
export const runReasons = {
  attempts_exhausted: "Every attempt failed; the last one's outcome is on the attempt.",
  rejected: "The target answered that it will never accept this request.",
  gone: "The target answered 410 Gone.",
  blocked: "The target's address is not one Downbeat may call.",
  misconfigured: "The endpoint has no usable signing secret or URL.",
  lost_in_queue: "Sent again and again, but no executor ever took it up.",
  superseded: "The schedule's next occurrence came due before it could be tried again, or a newer run replaced it.",
  schedule_changed: "The schedule was edited, paused or deleted before the run started.",
  backfill_canceled: "The backfill it belongs to was canceled, or its schedule deleted.",
  overlap: "Another run of the schedule was under way; `blocked_by` names it.",
  max_runs: "The schedule has had as many runs as it may have.",
  paused: "The schedule was paused.",
  maintenance: "The tenant was under maintenance.",
  budget: "The tenant had used up its runs of the day.",
  coalesced: "Older occurrences of a downtime; the newest one ran in their place.",
  catchup_limit: "Older occurrences of a downtime, more than are made up for.",
  late: "It was late, and the schedule's misfire policy is to skip what is late.",
  grace: "It was later than the schedule's grace.",
} as const;

export type RunReason = keyof typeof runReasons;
