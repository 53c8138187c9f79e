/**
 * What becomes of a minutely schedule while no dispatcher runs, computed from the documentation (docs/timing.md) with nothing but whole minutes: an opinion independent of the code that
 * decides. Instants in ms since 1970.
 */
export interface Outage {
  /** The last pass before it, and how far ahead that one claimed. */
  lastPassAt: number;
  horizonMs: number;
  /** The first pass after it. */
  firstPassAt: number;
}

export interface Policy {
  misfire: "latest" | "all" | "skip";
  graceSeconds: number | null;
}

export interface Prediction {
  /** Occurrences that run. */
  ran: number[];
  /** Stretches that are missed, each one row. */
  missed: { from: number; to: number; count: number; reason: string }[];
}

const minuteMs = 60_000;

/** Occurrences this late are still ordinary, and run under every policy. */
const lateToleranceMs = 60_000;

/** The occurrences from `fromAt` up to the first pass after the outage. */
export function predictMisfires(
  fromAt: number,
  { lastPassAt, horizonMs, firstPassAt }: Outage,
  { misfire, graceSeconds }: Policy,
): Prediction {
  const ran: number[] = [];
  const missed: Prediction["missed"] = [];
  const miss = (at: number, reason: string) => {
    const last = missed.at(-1);
    if (last?.reason === reason) Object.assign(last, { to: at, count: last.count + 1 });
    else missed.push({ from: at, to: at, count: 1, reason });
  };
  const newestAt = Math.floor(firstPassAt / minuteMs) * minuteMs;
  for (let at = fromAt; at <= newestAt; at += minuteMs) {
    const lateMs = firstPassAt - at;
    // Claimed before the outage began, or hardly late: no downtime to it.
    if (at < lastPassAt + horizonMs || lateMs < lateToleranceMs) ran.push(at);
    else if (graceSeconds !== null && lateMs > graceSeconds * 1_000) miss(at, "grace");
    else if (misfire === "all") ran.push(at);
    else if (misfire === "skip") miss(at, "late");
    // The newest late one runs: with an occurrence each minute always one that is hardly late, and has its place above.
    else miss(at, "coalesced");
  }
  return { ran, missed };
}
