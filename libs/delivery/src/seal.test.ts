import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { KeyRingError, openSealed, parseKeyRing, seal, SealError } from "./seal.ts";

const entry = (keyId: string) => `${keyId}:${randomBytes(32).toString("base64")}`;
const place = { tenantId: "tenant-a", endpointId: "endpoint-1", version: 1 };
const secret = "whsec_canary-canary-canary";

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return error instanceof SealError && !String(error).includes("canary") ? error.code : `unexpected ${String(error)}`;
  }
  return "opened";
}

test("a sealed secret opens at its place and shows nothing of itself", () => {
  const ring = parseKeyRing(entry("k1"));
  const made = seal(ring, place, secret);
  expect(made.keyId).toBe("k1");
  expect(made.sealed.includes("canary")).toBe(false);
  expect(openSealed(ring, place, made)).toBe(secret);
  // As a driver may hand it over: a view into a larger buffer.
  const wide = new Uint8Array(made.sealed.length + 7);
  wide.set(made.sealed, 7);
  expect(openSealed(ring, place, { keyId: "k1", sealed: wide.subarray(7) })).toBe(secret);
});

test("two seals of one secret differ, so equal secrets cannot be told from the rows", () => {
  const ring = parseKeyRing(entry("k1"));
  expect(seal(ring, place, secret).sealed.equals(seal(ring, place, secret).sealed)).toBe(false);
});

test.each([
  ["tenant", { ...place, tenantId: "tenant-b" }],
  ["endpoint", { ...place, endpointId: "endpoint-2" }],
  ["version", { ...place, version: 2 }],
])("a sealed secret copied to another %s does not open (rule K5)", (_what, elsewhere) => {
  const ring = parseKeyRing(entry("k1"));
  const made = seal(ring, place, secret);
  expect(codeOf(() => openSealed(ring, elsewhere, made))).toBe("not_authentic");
});

test("a change of any byte, a cut at any length and a shortened tag are noticed", () => {
  const ring = parseKeyRing(entry("k1"));
  const { keyId, sealed } = seal(ring, place, secret);
  for (let index = 0; index < sealed.length; index += 1) {
    const changed = Buffer.from(sealed);
    changed[index] = (changed[index] ?? 0) ^ 1;
    expect(codeOf(() => openSealed(ring, place, { keyId, sealed: changed }))).toBe("not_authentic");
    expect(codeOf(() => openSealed(ring, place, { keyId, sealed: sealed.subarray(0, index) }))).toBe("not_authentic");
  }
});

test("the first key of the ring seals and every key opens, so that keys can be rotated", () => {
  const [old, fresh] = [entry("2025"), entry("2026")];
  const before = seal(parseKeyRing(old), place, secret);
  const ring = parseKeyRing(`${fresh}, ${old}`);
  expect(seal(ring, place, secret).keyId).toBe("2026");
  expect(openSealed(ring, place, before)).toBe(secret);
  expect(codeOf(() => openSealed(parseKeyRing(fresh), place, before))).toBe("unknown_key");
  expect(codeOf(() => openSealed(parseKeyRing(entry("2025")), place, before))).toBe("not_authentic");
});

test.each([
  "",
  "k1",
  "k1:",
  ":AAAA",
  "k 1:AAAA",
  `k1:${randomBytes(31).toString("base64")}`,
  `${entry("k1")},`,
  `${entry("k1")},${entry("k1")}`,
])("the key ring of case %# is refused without repeating key material", (text) => {
  const material = text.split(":")[1]?.slice(0, 12) || "no key material";
  expect(() => parseKeyRing(text)).toThrow(KeyRingError);
  expect(() => parseKeyRing(text)).not.toThrow(material);
});
