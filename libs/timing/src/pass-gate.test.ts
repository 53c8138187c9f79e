import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type Gate, type GatePolicy, type Overlap, overlaps, passGate, waitingMax } from "./pass-gate.ts";

/**
 * Run `r` asks; `p` is older, `w` younger. What the gate is before, as `holders|waiting`; for each policy what becomes of `r`, and the gate afterwards where it is another one.
 */
type Row = [situation: string, before: string, after: Readonly<Record<Overlap, string>>];

const inAnyCase = (answer: string): Row[2] => ({
  skip: answer,
  queue_one: answer,
  queue_all: answer,
  allow: answer,
  cancel_previous: answer,
});

const table: Row[] = [
  ["nothing is under way", "|", inAnyCase("admitted r|")],
  [
    "another is under way",
    "h|",
    {
      skip: "skipped behind h",
      queue_one: "waits behind h: h|r",
      queue_all: "waits behind h: h|r",
      allow: "admitted h,r|",
      cancel_previous: "admitted in place of h: r|",
    },
  ],
  [
    "as many are under way as `allow` lets",
    "h,i,j|",
    {
      skip: "skipped behind h",
      queue_one: "waits behind h: h,i,j|r",
      queue_all: "waits behind h: h,i,j|r",
      allow: "skipped behind h",
      cancel_previous: "admitted in place of h,i,j: r|",
    },
  ],
  ["it is under way itself: a retry, or a lease that was handed back", "h,r|w", inAnyCase("admitted")],
  [
    "another is under way and an older one waits",
    "h|p",
    {
      skip: "skipped behind h",
      queue_one: "skipped behind h",
      queue_all: "waits behind h: h|p,r",
      allow: "admitted h,r|p",
      cancel_previous: "admitted in place of h: r|p",
    },
  ],
  [
    "another is under way and a younger one, whose message came sooner, waits",
    "h|w",
    {
      skip: "skipped behind h",
      queue_one: "skipped behind h",
      queue_all: "waits behind h: h|r,w",
      allow: "admitted h,r|w",
      cancel_previous: "admitted in place of h: r|w",
    },
  ],
  [
    "it waits first in line and another is under way",
    "h|r,w",
    {
      skip: "skipped behind h",
      queue_one: "waits behind h",
      queue_all: "waits behind h",
      allow: "admitted h,r|w",
      cancel_previous: "admitted in place of h: r|w",
    },
  ],
  ["it waits first in line and its turn has come", "|r,w", inAnyCase("admitted r|w")],
  [
    "it waits behind another whose turn has come",
    "|p,r,w",
    {
      skip: "admitted r|p,w",
      queue_one: "waits behind p",
      queue_all: "waits behind p",
      allow: "admitted r|p,w",
      cancel_previous: "admitted r|p,w",
    },
  ],
  [
    "nothing is under way, and an older one waits whose turn it is",
    "|p",
    {
      skip: "admitted r|p",
      queue_one: "skipped behind p",
      queue_all: "waits behind p: |p,r",
      allow: "admitted r|p",
      cancel_previous: "admitted r|p",
    },
  ],
  ["nothing is under way, and only younger ones wait", "|w,x", inAnyCase("admitted r|w,x")],
];

const readGate = (text: string): Gate => {
  const [holders = "", waiting = ""] = text.split("|").map((list) => list.trim());
  const idsOf = (list: string) => (list === "" ? [] : list.split(","));
  return { holders: idsOf(holders), waiting: idsOf(waiting) };
};

const writeGate = ({ holders, waiting }: Gate) => `${holders.join(",")}|${waiting.join(",")}`;

function describeAnswer(before: Gate, policy: GatePolicy, runId: string): string {
  const { gate, verdict } = passGate(before, policy, runId);
  const after = writeGate(gate) === writeGate(before) ? "" : writeGate(gate);
  if (verdict.verdict !== "admitted") return `${verdict.verdict} behind ${verdict.heldBy}${after === "" ? "" : `: ${after}`}`;
  const replaced = verdict.replaced.length === 0 ? "" : ` in place of ${verdict.replaced.join(",")}:`;
  return `admitted${replaced}${after === "" ? "" : ` ${after}`}`;
}

test.for(table.flatMap(([situation, before, after]) => overlaps.map((overlap) => [overlap, situation, before, after[overlap]] as const)))(
  "`%s`, when %s",
  ([overlap, , before, after]) => {
    expect(describeAnswer(readGate(before), { overlap, instancesMax: 3 }, "r")).toBe(after);
  },
);

test("`allow` with a single instance lets one run at a time, and at least one", () => {
  expect(describeAnswer(readGate("|"), { overlap: "allow", instancesMax: 1 }, "r")).toBe("admitted r|");
  expect(describeAnswer(readGate("h|"), { overlap: "allow", instancesMax: 1 }, "r")).toBe("skipped behind h");
});

test("a line under `queue_all` has an end: a run beyond it is skipped, and those in line keep their places", () => {
  const waiting = Array.from({ length: waitingMax }, (_, index) => `q${String(index).padStart(4, "0")}`);
  const full = { holders: ["h"], waiting };
  const policy: GatePolicy = { overlap: "queue_all", instancesMax: 3 };
  expect(passGate(full, policy, "r")).toEqual({ gate: full, verdict: { verdict: "skipped", heldBy: "h" } });
  expect(passGate(full, policy, "q0007").verdict).toEqual({ verdict: "waits", heldBy: "h" });
  expect(passGate({ holders: ["h"], waiting: waiting.slice(1) }, policy, "r").verdict).toEqual({ verdict: "waits", heldBy: "h" });
});

const policies: fc.Arbitrary<GatePolicy> = fc.record({
  overlap: fc.constantFrom(...overlaps),
  instancesMax: fc.integer({ min: 1, max: 4 }),
});

test("whatever is asked in whatever order: no more runs are under way than the policy lets, none in two places, and asking twice is asking once", () => {
  const asks = fc.array(fc.record({ ask: fc.integer({ min: 1, max: 9 }), end: fc.nat(9) }), { maxLength: 60 });
  fc.assert(
    fc.property(policies, asks, (policy, steps) => {
      let gate: Gate = { holders: [], waiting: [] };
      for (const { ask, end } of steps) {
        const answer = passGate(gate, policy, `r${ask}`);
        const again = passGate(answer.gate, policy, `r${ask}`);
        expect(again.gate).toEqual(answer.gate);
        expect(again.verdict.verdict).toBe(answer.verdict.verdict);
        const isAdmitted = answer.verdict.verdict === "admitted";
        expect(answer.gate.holders.includes(`r${ask}`)).toBe(isAdmitted);
        expect(answer.gate.waiting.includes(`r${ask}`)).toBe(answer.verdict.verdict === "waits");
        const ids = [...answer.gate.holders, ...answer.gate.waiting];
        expect(new Set(ids).size).toBe(ids.length);
        expect(answer.gate.waiting).toEqual(answer.gate.waiting.toSorted());
        expect(answer.gate.holders.length).toBeLessThanOrEqual(policy.overlap === "allow" ? policy.instancesMax : 1);
        expect(answer.gate.waiting.length).toBeLessThanOrEqual({ queue_one: 1, queue_all: waitingMax }[policy.overlap as "queue_one"] ?? 0);
        gate = { ...answer.gate, holders: answer.gate.holders.filter((id) => id !== `r${end}`) };
      }
    }),
    { numRuns: 500 },
  );
});

test("a line moves up from the oldest to the youngest, in whatever order they came", () => {
  const policy: GatePolicy = { overlap: "queue_all", instancesMax: 3 };
  let gate: Gate = { holders: ["r0"], waiting: [] };
  for (const id of ["r2", "r3", "r1"]) ({ gate } = passGate(gate, policy, id));
  const started: string[] = [];
  while (gate.waiting.length > 0) {
    gate = { holders: [], waiting: gate.waiting };
    // Those behind may ask first; they wait for their turn all the same.
    for (const id of gate.waiting.toReversed()) {
      const answer = passGate(gate, policy, id);
      if (answer.verdict.verdict === "admitted") started.push(id);
      gate = answer.gate;
    }
  }
  expect(started).toEqual(["r1", "r2", "r3"]);
});
