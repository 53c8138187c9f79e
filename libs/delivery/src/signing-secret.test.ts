import { inspect } from "node:util";
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { createSecret, formatSecret, parseSecret } from "./signing-secret.ts";

test("a new secret holds 32 random bytes and is read by our parser and by the stock library", () => {
  const secret = createSecret();
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(createSecret()).not.toBe(secret);
  expect(parseSecret(secret).ok).toBe(true);
  expect(() => new Webhook(secret)).not.toThrow();
});

test.each([
  [24, true],
  [64, true],
  [23, false],
  [65, false],
  [0, false],
])("a secret of %i bytes is accepted: %s", (bytes, ok) => {
  expect(parseSecret(formatSecret(Buffer.alloc(bytes, 7))).ok).toBe(ok);
});

test.each([
  ["no prefix", Buffer.alloc(32).toString("base64")],
  ["another prefix", `whpk_${Buffer.alloc(32).toString("base64")}`],
  ["no padding, which the stock library cannot read", formatSecret(Buffer.alloc(32, 1)).replace(/=+$/, "")],
  ["the URL alphabet", `whsec_${Buffer.alloc(33, 0xff).toString("base64url")}`],
  ["a space", `${formatSecret(Buffer.alloc(32, 1))} `],
  ["text after the padding", `${formatSecret(Buffer.alloc(32, 1))}AAAA`],
])("a secret with %s is refused without being repeated", (_why, text) => {
  const parsed = parseSecret(text);
  expect(parsed).toEqual({ ok: false, message: expect.not.stringContaining(text.slice(8, 20)) });
});

test("the raw text of an older scheme becomes a secret that signs with the same bytes", () => {
  const raw = "an-old-shared-secret-of-this-tenant";
  const parsed = parseSecret(formatSecret(Buffer.from(raw)));
  expect(parsed.ok && parsed.key.key.export().toString()).toBe(raw);
});

test("a fingerprint is the same for the same key, differs between keys, and printing a key shows none of its bytes", () => {
  const secret = createSecret();
  const [a, b, other] = [parseSecret(secret), parseSecret(secret), parseSecret(createSecret())];
  if (!a.ok || !b.ok || !other.ok) throw new Error("unreadable");
  expect(a.key.fingerprint).toMatch(/^[0-9a-f]{8}$/);
  expect(a.key.fingerprint).toBe(b.key.fingerprint);
  expect(a.key.fingerprint).not.toBe(other.key.fingerprint);
  const printed = inspect(a.key, { depth: 9, showHidden: true }) + JSON.stringify(a.key);
  expect(printed).not.toContain(secret.slice(6, 20));
});
