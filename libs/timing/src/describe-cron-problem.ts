import { fieldsOf, isAccepted, isAcceptedIn, type CronField } from "./cron-fields.ts";
import { quote } from "./quote.ts";
import { recognizeNotation } from "./recognize-notation.ts";
import { suggestCronField, type FieldSuggestion } from "./suggest-cron-field.ts";

/** Slips of the pen that concern no single field, and how each is mended. They are mended in this order, until the expression can be read. */
const slips: readonly { fault: string; mend: (expression: string) => string }[] = [
  { fault: "has quotes around it", mend: (expression) => expression.replace(/^(["'`])(.*)\1$/, "$2").trim() },
  { fault: 'has a dash that is not "-"', mend: (expression) => expression.replaceAll(/[–—−‐‑]/g, "-") },
  { fault: "has a blank inside a field", mend: (expression) => expression.replaceAll(/\s*([,/-])\s*(?=\S)/g, "$1") },
  { fault: "has a comma with nothing beside it", mend: (expression) => expression.replaceAll(/(?<=^|[\s,]),+|,+(?=\s|$)/g, "") },
];

/**
 * Says why croner refused `expression`: which field, what it holds, what it may hold and, where that is obvious, what was meant. croner's own messages are not
 * passed on, because some count days and months from 0. A wrong field is found by asking croner about each field alone. An expression is suggested only when
 * croner takes it.
 */
export function describeCronProblem(expression: string): string {
  const parts = expression.match(/\S+/g) ?? [];
  return (
    recognizeNotation(expression) ??
    describeSlips(expression) ??
    describeCommand(expression, parts) ??
    describeFields(parts) ??
    describeCount(expression, parts)
  );
}

function describeSlips(expression: string): string | undefined {
  const faults: string[] = [];
  let mended = expression.trim();
  for (const { fault, mend: mendSlip } of slips) {
    const before = mended;
    mended = mendSlip(before);
    if (mended !== before) faults.push(fault);
    if (faults.length > 0 && isAccepted(mended.split(/\s+/)))
      return `${quote(expression)} ${faults.join(" and ")}; did you mean "${mended}"?`;
  }
  return undefined;
}

/** A crontab's line, whose first five fields are all right. A long word in lower case or a path is taken for a command unless it can be read as a weekday. */
function describeCommand(expression: string, parts: readonly string[]): string | undefined {
  const fields = parts.slice(0, 5);
  const rest = parts.slice(5).join(" ");
  if (!/(?:^|\s)[/~.$]|[a-z]{4}/.test(rest) || !isAccepted(fields) || mend(parts) !== undefined) return undefined;
  return `${quote(expression)} ends in ${quote(rest)}, which looks like a crontab's command; the cron expression alone is "${fields.join(" ")}"`;
}

/** Undefined when there are too few fields or too many. */
function describeFields(parts: readonly string[]): string | undefined {
  const wrong = findWrong(parts);
  if (wrong === undefined) return undefined;
  const faults = wrong.map(({ field, part }) => `${field.name} is ${quote(part)}; allowed: ${field.allowed}`);
  const forms =
    "Besides single values: *, lists (1,15), ranges from low to high (1-5) and steps of at least 1 on * or a range (*/5, 10-20/2)";
  const mended = mend(parts);
  const notes = [...new Set(wrong.flatMap(({ note }) => note ?? []))];
  // A question mark ends its own sentence.
  const question = mended === undefined ? "" : `. Did you mean "${mended}"?`;
  const advice = notes.length === 0 ? "" : `${mended === undefined ? "." : ""} ${notes.join(". ")}`;
  return `${faults.join(". ")}. ${forms}${question}${advice}`;
}

function describeCount(expression: string, parts: readonly string[]): string {
  const count = parts.length === 1 ? "1 field" : `${parts.length} fields`;
  const withoutWeekday = parts.length === 4 && isAccepted([...parts, "*"]) ? `. On every day of the week it is "${parts.join(" ")} *"` : "";
  return `${quote(expression)} has ${count}; a cron expression has 5 (minute, hour, day of month, month, day of week), 6 (second first) or 7 (year last)${withoutWeekday}`;
}

interface WrongField extends FieldSuggestion {
  field: CronField;
  index: number;
  part: string;
}

function findWrong(parts: readonly string[]): WrongField[] | undefined {
  return fieldsOf(parts.length)?.flatMap((field, index) => {
    const part = parts[index] ?? "";
    return isAcceptedIn(field, part) ? [] : [{ field, index, part, ...suggestCronField(field, part) }];
  });
}

/** The expression with every wrong field replaced by what was most likely meant, or undefined where one of them says nothing. */
function mend(parts: readonly string[]): string | undefined {
  const wrong = findWrong(parts);
  if (wrong === undefined || wrong.some(({ meant }) => meant === undefined)) return undefined;
  const mended = parts.map((part, index) => wrong.find((other) => other.index === index)?.meant ?? part);
  return isAccepted(mended) ? mended.join(" ") : undefined;
}
