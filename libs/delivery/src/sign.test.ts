import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { CompatBodyRefusedError, sign } from "./sign.ts";
import { createSecret, formatSecret } from "./signing-secret.ts";
import { signingKey } from "./testing/sample-request.ts";

const id = "019a0000-0000-8000-8000-000000000001";
const message = (body: string | Buffer, ...secrets: string[]) => ({
  id,
  attemptAtMs: Date.now(),
  body: Buffer.from(body),
  keys: secrets.map((secret) => signingKey(secret)),
  compatSignatures: false,
});

test("the stock library verifies the headers over the exact bytes, and refuses another body, id or time", () => {
  const secret = createSecret();
  const body = '{"naïve":"✓ 漢字"}';
  const headers = sign(message(body, secret));
  const webhook = new Webhook(secret);
  expect(webhook.verify(body, headers)).toEqual({ naïve: "✓ 漢字" });
  expect(() => webhook.verify(`${body} `, headers)).toThrow("No matching signature");
  expect(() => webhook.verify(body, { ...headers, "webhook-id": "other" })).toThrow("No matching signature");
  const later = String(Number(headers["webhook-timestamp"]) + 1);
  expect(() => webhook.verify(body, { ...headers, "webhook-timestamp": later })).toThrow("No matching signature");
});

test("while a secret is rotated, receivers with the new and with the old one both verify, and the newest signature stands first", () => {
  const [newest, old, unknown] = [createSecret(), createSecret(), createSecret()];
  const headers = sign(message("{}", newest, old));
  for (const secret of [newest, old]) expect(() => new Webhook(secret).verify("{}", headers)).not.toThrow();
  expect(() => new Webhook(unknown).verify("{}", headers)).toThrow("No matching signature");
  const first = headers["webhook-signature"]?.split(" ")[0] ?? "";
  expect(() => new Webhook(newest).verify("{}", { ...headers, "webhook-signature": first })).not.toThrow();
});

test("the timestamp is the attempt's instant in whole seconds, rounded down", () => {
  const headers = sign({ ...message("{}", createSecret()), attemptAtMs: 1_700_000_000_999, compatSignatures: true });
  expect(headers["webhook-timestamp"]).toBe("1700000000");
  expect(headers["X-Timestamp"]).toBe("1700000000");
});

test("the compat pair is sent only when asked, and its signature is the hex HMAC of exactly the bytes sent", () => {
  const raw = Buffer.from("an-old-shared-secret-of-this-tenant");
  const body = Buffer.from('{"bytes":"\u{1F600}\\u0000 \r\n"}');
  const plain = sign(message(body, formatSecret(raw)));
  expect(Object.keys(plain)).toEqual(["webhook-id", "webhook-timestamp", "webhook-signature"]);
  const compat = sign({ ...message(body, formatSecret(raw)), compatSignatures: true });
  expect(compat["X-Hub-Signature-256"]).toBe(`sha256=${createHmac("sha256", raw).update(body).digest("hex")}`);
});

test("a tenant cannot have a Standard Webhooks signature forged through the compat signature (rule W3)", () => {
  const raw = Buffer.alloc(32, 9);
  const secret = formatSecret(raw);
  const timestamp = Math.floor(Date.now() / 1000);
  const wanted = '{"admin":true}';
  const chosen = Buffer.from(`exec_FAKE.${timestamp}.${wanted}`);

  // The attack is real: the bare HMAC of the chosen body verifies as the signature of another one.
  const leaked = createHmac("sha256", raw).update(chosen).digest("base64");
  const forged = { "webhook-id": "exec_FAKE", "webhook-timestamp": String(timestamp), "webhook-signature": `v1,${leaked}` };
  expect(new Webhook(secret).verify(wanted, forged)).toEqual({ admin: true });

  // And it is never signed.
  const attempt = { ...message(chosen, secret), compatSignatures: true };
  expect(() => sign(attempt)).toThrow(CompatBodyRefusedError);
  for (const body of ["", " {}", "[{}]", '"{"', "\u{FEFF}{}", "x{}"]) {
    expect(() => sign({ ...attempt, body: Buffer.from(body) })).toThrow(CompatBodyRefusedError);
  }
  // Whatever starts with a brace is no `<id>.<timestamp>.…`, because an id cannot.
  expect(() => sign({ ...attempt, id: "{x", body: Buffer.from("{}") })).toThrow(RangeError);
});

test.each(["", "a.b", "a b", "ä", "x".repeat(65)])("the id %j, which would make signed text ambiguous, is a programming error", (wrong) => {
  expect(() => sign({ ...message("{}", createSecret()), id: wrong })).toThrow(RangeError);
});

test("nothing is sent unsigned: an empty list of keys is a programming error", () => {
  expect(() => sign(message("{}"))).toThrow(RangeError);
});
