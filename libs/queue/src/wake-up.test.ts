import { randomUUID } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { decodeWakeUp, encodeWakeUp, type RunRef, runsPerMessageMax } from "./wake-up.ts";

const tenantId = "11111111-1111-4111-8111-111111111111";
const runId = "019b0000-0000-8abc-8def-000000000000";

/** Runs of few tenants, so that tenants repeat. */
const arbitraryRefs = fc.array(
  fc.record({ tenantId: fc.constantFrom(randomUUID(), randomUUID(), tenantId), runId: fc.uuid({ version: 8 }) }),
  {
    minLength: 1,
    maxLength: runsPerMessageMax,
  },
);

const sorted = (refs: readonly RunRef[]) => refs.map(({ tenantId: tenant, runId: run }) => `${tenant}/${run}`).sort();

test("what was put into a message is what is read from it", () => {
  fc.assert(
    fc.property(arbitraryRefs, (refs) => {
      const decoded = decodeWakeUp(encodeWakeUp(refs));
      expect(decoded.isReadable && sorted(decoded.refs)).toEqual(sorted(refs));
    }),
  );
});

test("a message names a tenant once, however many of its runs it carries", () => {
  const refs = [runId, randomUUID(), randomUUID()].map((id) => ({ tenantId, runId: id }));
  expect(encodeWakeUp(refs).split(tenantId)).toHaveLength(2);
});

test("ten messages of the largest size are far below SQS's limit of 1 MiB for a batch", () => {
  const refs = Array.from({ length: runsPerMessageMax }, () => ({ tenantId: randomUUID(), runId: randomUUID() }));
  expect(10 * Buffer.byteLength(encodeWakeUp(refs))).toBeLessThan(2 ** 20 / 4);
});

test("ids are read as the ledger writes them, whatever the case of the letters in the message", () => {
  const body = JSON.stringify({ v: 1, tenants: [{ id: tenantId.toUpperCase(), runs: [runId.toUpperCase()] }] });
  expect(decodeWakeUp(body)).toEqual({ isReadable: true, refs: [{ tenantId, runId }] });
});

const tenant = { id: tenantId, runs: [runId] };
test.for([
  ["empty", "", "not JSON"],
  ["not JSON", "{", "not JSON"],
  ["NUL bytes", "\0\0", "not JSON"],
  ["null", "null", "message: "],
  ["a number", "7", "message: "],
  ["a list", "[]", "message: "],
  ["no version", { tenants: [tenant] }, "v: "],
  ["a later version", { v: 2, tenants: [tenant] }, "v: "],
  ["a version as text", { v: "1", tenants: [tenant] }, "v: "],
  ["no tenants", { v: 1 }, "tenants: "],
  ["an empty list of tenants", { v: 1, tenants: [] }, "tenants: "],
  ["a tenant without runs", { v: 1, tenants: [{ id: tenantId, runs: [] }] }, "tenants.0.runs: "],
  ["a tenant id that is none", { v: 1, tenants: [{ id: "acme", runs: [runId] }] }, "tenants.0.id: "],
  ["a run id that is none", { v: 1, tenants: [tenant, { id: tenantId, runs: [runId, "1; drop table runs"] }] }, "tenants.1.runs.1: "],
  ["a run id that is a number", { v: 1, tenants: [{ id: tenantId, runs: [7] }] }, "tenants.0.runs.0: "],
  ["an unknown field", { v: 1, tenants: [tenant], url: "http://169.254.169.254" }, "message: "],
  ["an unknown field of a tenant", { v: 1, tenants: [{ ...tenant, secret: "x" }] }, "tenants.0: "],
  ["more runs than a message may carry", { v: 1, tenants: [{ id: tenantId, runs: Array.from({ length: 101 }, () => runId) }] }, "101 runs"],
] as const)("a message that is no wake-up is answered as unreadable, with the reason: %s", ([, body, reason]) => {
  const decoded = decodeWakeUp(typeof body === "string" ? body : JSON.stringify(body));
  expect(decoded).toMatchObject({ isReadable: false });
  expect(!decoded.isReadable && decoded.reason).toMatch(new RegExp(`^${reason}`));
});

test("no message, however broken, throws", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.jsonValue().map((tenants) => JSON.stringify({ v: 1, tenants })),
      ),
      (body) => {
        expect(typeof decodeWakeUp(body).isReadable).toBe("boolean");
      },
    ),
  );
});
