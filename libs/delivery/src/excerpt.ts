/**
 * The beginning of an answer as text that can be stored: UTF-8 with replacement characters, without NUL (a Postgres text cannot hold it), secrets the receiver
 * echoed blotted out (rule W9), at most `bytesMax` bytes.
 */
export function excerptOf(chunks: readonly Buffer[], bytesMax: number, secrets: readonly string[]): string {
  const [first] = chunks;
  if (first === undefined || bytesMax === 0) return "";
  const bytes = chunks.length === 1 ? first : Buffer.concat(chunks);
  let text = bytes.toString("utf8");
  if (text.includes("\0")) text = text.replaceAll("\0", "");
  for (const secret of secrets) text = text.replaceAll(secret, "[redacted]");
  if (text.length * 3 <= bytesMax || Buffer.byteLength(text) <= bytesMax) return text;
  // `stream` leaves out a character that is cut at the end, instead of replacing half of it.
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Buffer.from(text).subarray(0, bytesMax), { stream: true });
}
