import { expect, test } from "vitest";
import { checkTargetUrl, joinTargetPath, type TargetUrl } from "./target-url.ts";

const strict = { allowPrivateTargets: false };

function target(text: string, options = strict): TargetUrl {
  const checked = checkTargetUrl(text, options);
  if (!checked.ok) throw new Error(checked.message);
  return checked.url;
}

test.each([
  ["https://hooks.example.com", "https://hooks.example.com/"],
  ["https://hooks.example.com:443/a?b=c", "https://hooks.example.com/a?b=c"],
  ["https://hooks.example.com:8443/", "https://hooks.example.com:8443/"],
  ["HTTPS://HOOKS.Example.COM./x", "https://hooks.example.com/x"],
  ["https://93.184.215.14/", "https://93.184.215.14/"],
  ["https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/", "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/"],
  ["https://münchen.example/", "https://xn--mnchen-3ya.example/"],
])("%s may be called, as %s", (text, href) => {
  expect(target(text).href).toBe(href);
});

test.each([
  ["http://hooks.example.com/", "https"],
  ["ftp://hooks.example.com/", "https"],
  ["file:///etc/passwd", "https"],
  ["javascript:alert(1)", "https"],
  ["hooks.example.com", "valid"],
  ["/relative", "valid"],
  ["https://", "valid"],
  ["", "valid"],
  ["https://user:pass@hooks.example.com/", "password"],
  ["https://user@hooks.example.com/", "password"],
  ["https://hooks.example.com/#top", "fragment"],
  [" https://hooks.example.com/", "spaces"],
  ["https://hooks.example.com/\r\nX: 1", "spaces"],
  ["https://hooks.\texample.com/", "spaces"],
  ["https://hooks.example.com:80/", "port"],
  ["https://hooks.example.com:22/", "port"],
  ["https://hooks.example.com:0/", "port"],
  ["https://hooks.example.com:6379/", "port"],
  ["https://hooks.example.com:10250/", "port"],
  ["https://localhost/", "public host"],
  ["https://LOCALHOST./", "public host"],
  ["https://a.localhost/", "public host"],
  ["https://metadata.google.internal/", "public host"],
  ["https://metadata.google.internal./", "public host"],
  ["https://printer.local/", "public host"],
  ["https://postgres.default.svc.cluster.local/", "public host"],
  ["https://postgres/", "public host"],
  ["https://hooks.example.com../", "empty part"],
  ["https://.example.com/", "empty part"],
  ["https://a..example.com/", "empty part"],
  ["https://[fe80::1%25eth0]/", "valid"],
  [`https://hooks.example.com/${"x".repeat(2048)}`, "longer"],
])("%j is refused (rule S4)", (text, why) => {
  expect(checkTargetUrl(text, strict)).toEqual({ ok: false, message: expect.stringContaining(why) });
});

test.each([
  "127.0.0.1",
  "127.1",
  "2130706433",
  "0x7f000001",
  "0x7f.1",
  "0177.0.0.1",
  "127.0.0.1.",
  "①②⑦.⓪.⓪.①",
  "127。0。0。1",
  "%31%32%37.0.0.1",
  "0",
  "10.0.0.1",
  "169.254.169.254",
  "192.168.1.1",
  "100.100.100.200",
  "168.63.129.16",
  "[::1]",
  "[::]",
  "[::ffff:127.0.0.1]",
  "[::ffff:8.8.8.8]",
  "[0:0:0:0:0:ffff:7f00:1]",
  "[::127.0.0.1]",
  "[64:ff9b::7f00:1]",
  "[2002:7f00:1::]",
  "[fd00:ec2::254]",
  "[fe80::1]",
])("https://%s/, a way to write a private or reserved address, is refused at save", (host) => {
  expect(checkTargetUrl(`https://${host}/`, strict)).toEqual({ ok: false, message: "must not point to a private or reserved address" });
});

test("where private targets are allowed, http, any port and any host are too, and the other rules stay", () => {
  const open = { allowPrivateTargets: true };
  for (const text of ["http://127.0.0.1:3000/", "http://localhost/", "https://receiver:25/", "http://[::1]:80/"]) {
    expect(checkTargetUrl(text, open).ok).toBe(true);
  }
  for (const text of ["ftp://localhost/", "http://u:p@localhost/", "http://localhost/#x", "localhost"])
    expect(checkTargetUrl(text, open).ok).toBe(false);
});

test.each([
  ["https://h.example/in", "", "https://h.example/in"],
  ["https://h.example/in", "/orders", "https://h.example/in/orders"],
  ["https://h.example/in/", "/orders", "https://h.example/in/orders"],
  ["https://h.example", "/orders?full=1", "https://h.example/orders?full=1"],
  ["https://h.example/in", "/", "https://h.example/in/"],
  ["https://h.example/in?key=1", "", "https://h.example/in?key=1"],
  ["https://h.example/in?key=1", "/a?b=2", "https://h.example/in/a?key=1&b=2"],
  ["https://h.example/in?key=1", "?b=2", "https://h.example/in?key=1&b=2"],
  ["https://h.example/in", "/a/../b", "https://h.example/in/b"],
  ["https://h.example/in", "/https://evil.example/", "https://h.example/in/https://evil.example/"],
  ["https://h.example/in", "/@evil.example", "https://h.example/in/@evil.example"],
])("%s with the path %j calls %s", (base, path, href) => {
  const joined = joinTargetPath(target(base), path);
  expect(joined.ok && joined.url.href).toBe(href);
});

test.each([
  "orders",
  "//evil.example/x",
  "https://evil.example/",
  "/../secret",
  "/..",
  "/%2e%2e/secret",
  "/a/../../secret",
  "/\\evil.example",
  "\\\\evil.example",
  "/a b",
  "/a\r\nHost: evil",
  "/a#b",
  `/${"x".repeat(2048)}`,
])("the path %j cannot leave the base URL", (path) => {
  expect(joinTargetPath(target("https://h.example/in"), path).ok).toBe(false);
});

test("a base without a path cannot be left either", () => {
  const joined = joinTargetPath(target("https://h.example"), "/../..//evil.example/x");
  expect(joined.ok && joined.url.origin).toBe("https://h.example");
});
