/** What is wrong with one header of a tenant. `message` completes "header X …"; values are never repeated, they may be secrets. */
export interface HeaderProblem {
  readonly header: string;
  readonly message: string;
}

/** Names only we or the HTTP layer may set (rule W7). */
const reservedNames: ReadonlySet<string> = new Set([
  "accept-encoding",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "expect",
  "host",
  "http2-settings",
  "idempotency-key",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "user-agent",
  "x-attempt",
  "x-hub-signature",
  "x-hub-signature-256",
  "x-replay",
  "x-schedule-id",
  "x-scheduled-for",
  "x-timestamp",
  "traceparent",
  "tracestate",
]);
const reservedPrefixes = /^(webhook-|proxy-)/;
const namePattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Visible ASCII, spaces and tabs, none of them at the ends. Other bytes mean different things to different servers. */
const valuePattern = /^(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?$/;
const totalBytesMax = 8 * 1024;

/** Names whose values are blotted out of what is stored of an answer. */
const secretNames = /authorization|cookie|credential|key|password|secret|signature|token/i;
/** Shorter values are left: blotting out every `1` would only make the excerpt unreadable. */
const secretLengthMin = 8;

/** Checks the headers a tenant wants sent, at save and again at send (rule W7). An empty list means they may be sent. */
export function checkTenantHeaders(headers: Readonly<Record<string, unknown>>): readonly HeaderProblem[] {
  const problems: HeaderProblem[] = [];
  const seen = new Set<string>();
  let totalBytes = 0;
  for (const [header, value] of Object.entries(headers)) {
    const name = header.toLowerCase();
    if (!namePattern.test(header)) problems.push({ header, message: "is not a valid header name" });
    else if (reservedNames.has(name) || reservedPrefixes.test(name))
      problems.push({ header, message: "is set by Downbeat and cannot be overridden" });
    else if (seen.has(name)) problems.push({ header, message: "is given twice" });
    if (typeof value !== "string") problems.push({ header, message: "must have a text value" });
    else if (!valuePattern.test(value)) problems.push({ header, message: "must hold only visible ASCII characters and inner spaces" });
    seen.add(name);
    // As on the wire: the name, a colon, a space, the value, and the line's end.
    totalBytes += header.length + String(value).length + 4;
  }
  if (totalBytes > totalBytesMax)
    problems.push({ header: "*", message: `take ${totalBytes} bytes together, at most ${totalBytesMax} are allowed` });
  return problems;
}

/** The values a receiver that echoes its request would send back and that must not be stored (rule W9). */
export function secretValues(headers: Readonly<Record<string, string>>): readonly string[] {
  const values: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (!secretNames.test(name)) continue;
    // `Authorization: Bearer x`: the echo may hold the credential alone.
    for (const part of [value, value.slice(value.indexOf(" ") + 1)]) if (part.length >= secretLengthMin) values.push(part);
  }
  return values;
}
