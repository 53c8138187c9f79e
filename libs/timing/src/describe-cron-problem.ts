import { CronPattern } from "croner";
import { quote } from "./quote.ts";

interface FieldForm {
  name: string;
  allowed: string;
}

const second: FieldForm = { name: "second", allowed: "0–59" };
const minute: FieldForm = { name: "minute", allowed: "0–59" };
const hour: FieldForm = { name: "hour", allowed: "0–23" };
const dayOfMonth: FieldForm = { name: "day of month", allowed: "1–31, L (last day), LW (last weekday), 15W (weekday nearest to the 15th)" };
const month: FieldForm = { name: "month", allowed: "1–12 or JAN–DEC" };
const dayOfWeek: FieldForm = {
  name: "day of week",
  allowed: "0–7 or SUN–SAT (0 and 7 are Sunday), MON#2 (second Monday), FRIL (last Friday)",
};
const year: FieldForm = { name: "year", allowed: "1–9999" };

const fiveFields = [minute, hour, dayOfMonth, month, dayOfWeek];
const formsByCount = new Map<number, FieldForm[]>([
  [5, fiveFields],
  [6, [second, ...fiveFields]],
  [7, [second, ...fiveFields, year]],
]);

/**
 * Says why croner refused `expression`: which field, what it holds, and what it may hold. croner's own messages are not passed on, because some count days and
 * months from 0. A wrong field is found by asking croner about each field alone.
 */
export function describeCronProblem(expression: string): string {
  const parts = expression.match(/\S+/g) ?? [];
  const time = /^(\d{1,2}):(\d{2})$/.exec(expression.trim());
  if (time !== null) {
    const daily = `${Number(time[2])} ${Number(time[1]) % 24} * * *`;
    return `${quote(expression)} is a time of day; as a cron expression, every day at that time is "${daily}"`;
  }
  if (expression.includes("@")) {
    return `${quote(expression)} is not a known nickname; known are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually. For a fixed period use kind "interval"`;
  }
  const forms = formsByCount.get(parts.length);
  if (forms === undefined) {
    const count = parts.length === 1 ? "1 field" : `${parts.length} fields`;
    return `${quote(expression)} has ${count}; a cron expression has 5 (minute, hour, day of month, month, day of week), 6 (second first) or 7 (year last)`;
  }
  const wrong = forms.flatMap((form, index) => {
    const part = parts[index] ?? "";
    return isAccepted(forms.map((_, other) => (other === index ? part : "*")))
      ? []
      : [`${form.name} is ${quote(part)}; allowed: ${form.allowed}`];
  });
  return `${wrong.join(". ")}. Besides single values: *, lists (1,15), ranges from low to high (1-5) and steps of at least 1 on * or a range (*/5, 10-20/2)`;
}

function isAccepted(parts: readonly string[]): boolean {
  try {
    return new CronPattern(parts.join(" ")) instanceof CronPattern;
  } catch {
    return false;
  }
}
