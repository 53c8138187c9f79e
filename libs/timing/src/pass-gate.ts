/** What an occurrence does whose predecessor has not ended: see `passGate`. */
export const overlaps = ["skip", "queue_one", "queue_all", "allow", "cancel_previous"] as const;
export type Overlap = (typeof overlaps)[number];

export interface GatePolicy {
  overlap: Overlap;
  /** For `allow`: how many runs may be under way at once. */
  instancesMax: number;
}

/** The runs of a schedule that are under way or wait for that, by id, oldest first. Runs that have ended are in neither list. */
export interface Gate {
  holders: readonly string[];
  waiting: readonly string[];
}

export type GateVerdict =
  /** It starts, after the runs named in `replaced` are canceled. */
  | { verdict: "admitted"; replaced: readonly string[] }
  /** It starts when its turn comes. */
  | { verdict: "waits"; heldBy: string }
  /** It never starts. */
  | { verdict: "skipped"; heldBy: string };

/** Most runs of one schedule that wait for their turn under `queue_all`. */
export const waitingMax = 1_000;

/**
 * Decides whether a run may start while others of its schedule are under way, and answers the gate as it is afterwards. A run holds the gate by its state, from its lease
 * until it has ended, retries included; there is no lock that could outlive a crash.
 *
 * - `skip`: it is skipped.
 * - `queue_one`, `queue_all`: it waits for its turn, oldest first, beside at most none or `waitingMax` - 1 others; a further one is skipped.
 * - `allow`: it starts as long as fewer than `instancesMax` are under way, else it is skipped.
 * - `cancel_previous`: those under way are canceled and it starts.
 */
export function passGate(gate: Gate, { overlap, instancesMax }: GatePolicy, runId: string): { gate: Gate; verdict: GateVerdict } {
  const { holders, waiting } = gate;
  if (holders.includes(runId)) return { gate, verdict: { verdict: "admitted", replaced: [] } };
  // Ids sort by time. A message that comes late may bring an older run than those that wait.
  const ahead = waiting.findLastIndex((id) => id < runId) + 1;
  const isWaiting = waiting[ahead] === runId;
  const heldBy = holders[0] ?? (ahead > 0 ? waiting[0] : undefined);
  const admit = (replaced: readonly string[] = []) => ({
    gate: {
      holders: replaced.length > 0 ? [runId] : [...holders, runId],
      waiting: isWaiting ? waiting.toSpliced(ahead, 1) : waiting,
    },
    verdict: { verdict: "admitted" as const, replaced },
  });
  switch (overlap) {
    case "cancel_previous":
      return admit(holders);
    case "allow":
      if (holders.length < instancesMax || holders[0] === undefined) return admit();
      return { gate, verdict: { verdict: "skipped", heldBy: holders[0] } };
    case "skip":
      // Waiting ones are left from before the policy was changed; they have their turn as the gate is free.
      if (holders[0] === undefined) return admit();
      return { gate, verdict: { verdict: "skipped", heldBy: holders[0] } };
    case "queue_one":
    case "queue_all": {
      if (heldBy === undefined) return admit();
      if (isWaiting) return { gate, verdict: { verdict: "waits", heldBy } };
      const roomFor = overlap === "queue_one" ? 1 : waitingMax;
      if (waiting.length >= roomFor) return { gate, verdict: { verdict: "skipped", heldBy } };
      return { gate: { holders, waiting: waiting.toSpliced(ahead, 0, runId) }, verdict: { verdict: "waits", heldBy } };
    }
  }
}
