import { quote } from "./quote.ts";
import type { Reading } from "./read-rule-fields.ts";
import { spreadWindowMsMax, type Spread } from "./spread.ts";

const secondsOfUnit = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** Reads a length of time in whole seconds: a number, or a text with a unit like `90`, `30s`, `15m`, `2h`, `1d`. */
export function readSeconds(value: unknown): Reading<number> {
  const [, amount, unit = "s"] = /^(\d+(?:\.\d+)?)\s*([smhd])?$/.exec(String(value).trim()) ?? [];
  const seconds = Number(amount) * secondsOfUnit[unit as keyof typeof secondsOfUnit];
  if (!Number.isSafeInteger(seconds))
    return { problem: `is ${quote(value)}; it must be whole seconds, or a number with s, m, h or d, like 90, "30s" or "15m"` };
  return { value: seconds };
}

/** Reads a spread: a duration up to a day, or a share of the time to the next occurrence like `50%`. */
export function readSpread(value: unknown): Reading<Spread> {
  const [, percent] = (typeof value === "string" ? /^(\d+(?:\.\d+)?)\s*%$/.exec(value.trim()) : null) ?? [];
  if (percent !== undefined) {
    const share = Number(percent) / 100;
    return share > 0 && share <= 1
      ? { value: { kind: "share", share } }
      : { problem: `is ${quote(value)}; a share must be more than 0% and at most 100%` };
  }
  const reading = readSeconds(value);
  const windowMs = "value" in reading ? reading.value * 1_000 : Number.NaN;
  if (windowMs > 0 && windowMs <= spreadWindowMsMax) return { value: { kind: "duration", windowMs } };
  return {
    problem: `is ${quote(value)}; it must be a duration from 1 s to 1 day, like "15m" or 900, or a share of the time to the next occurrence, like "50%"`,
  };
}

/** A spread as `readSpread` reads it. */
export function showSpread(spread: Spread): string {
  if (spread.kind === "share") return `${Number((spread.share * 100).toPrecision(6))}%`;
  const seconds = spread.windowMs / 1_000;
  if (seconds % 3_600 === 0) return `${seconds / 3_600}h`;
  return seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;
}
