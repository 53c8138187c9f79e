import { expect, test } from "vitest";
import { checkTenantHeaders, secretValues } from "./headers.ts";

test("ordinary headers of a tenant may be sent", () => {
  expect(
    checkTenantHeaders({
      Authorization: "Bearer abc.def",
      Cookie: "a=1; b=2",
      "X-Api-Version": "2026-11-23",
      Accept: "*/*",
      "X-Empty": "",
      "X-Tab": "a\tb",
    }),
  ).toEqual([]);
});

test.each([
  ["Host"],
  ["content-length"],
  ["Transfer-Encoding"],
  ["Connection"],
  ["Keep-Alive"],
  ["Content-Type"],
  ["TE"],
  ["Trailer"],
  ["Upgrade"],
  ["Expect"],
  ["Proxy-Authorization"],
  ["Proxy-Connection"],
  ["Webhook-Id"],
  ["webhook-signature"],
  ["webhook-anything"],
  ["Idempotency-Key"],
  ["X-Schedule-Id"],
  ["X-Scheduled-For"],
  ["X-Attempt"],
  ["X-Replay"],
  ["X-Hub-Signature-256"],
  ["X-Timestamp"],
  ["traceparent"],
  ["User-Agent"],
  ["Accept-Encoding"],
])("a tenant cannot set %s, in any case (rule W7)", (header) => {
  for (const spelled of [header, header.toLowerCase(), header.toUpperCase()]) {
    expect(checkTenantHeaders({ [spelled]: "x" })).toEqual([{ header: spelled, message: expect.stringContaining("cannot be overridden") }]);
  }
});

test.each(["a\r\nX-Evil: 1", "a\nb", "a\0b", "\u007f", "é", "漢", " a", "a ", "\t"])(
  "the value %j cannot be sent and is not repeated in the problem",
  (value) => {
    const problems = checkTenantHeaders({ "X-Mine": value });
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toBe("must hold only visible ASCII characters and inner spaces");
  },
);

test.each(["", "a b", "a:b", "a\r\n", "ä", "a\0"])("the name %j cannot be sent", (name) => {
  expect(checkTenantHeaders({ [name]: "x" })).toEqual([{ header: name, message: "is not a valid header name" }]);
});

test("values that are no text, names given twice and more than 8 KiB in all are problems", () => {
  expect(checkTenantHeaders({ a: 1 })).toEqual([{ header: "a", message: "must have a text value" }]);
  expect(checkTenantHeaders({ "X-A": "1", "x-a": "2" })).toEqual([{ header: "x-a", message: "is given twice" }]);
  const full = { "x-1": "v".repeat(8192 - 7) };
  expect(checkTenantHeaders(full)).toEqual([]);
  expect(checkTenantHeaders({ "x-1": `${full["x-1"]}v` })).toEqual([{ header: "*", message: expect.stringContaining("8193 bytes") }]);
});

test("values of headers that carry secrets are known, with and without their scheme; short and harmless ones are not", () => {
  expect(
    secretValues({ authorization: "Bearer abcdefghij", "x-api-key": "k-123456789", accept: "application/json", "x-token": "short" }),
  ).toEqual(["Bearer abcdefghij", "abcdefghij", "k-123456789", "k-123456789"]);
});
