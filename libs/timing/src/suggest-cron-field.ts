import { closestName } from "./closest-name.ts";
import { isAcceptedIn, namedFields, type CronField } from "./cron-fields.ts";
import { intervalSecondsMax } from "./rule.ts";

/** What somebody most likely meant by a field that cannot be read. */
export interface FieldSuggestion {
  /** What to write instead, where one thing is obvious. The field takes it. */
  meant?: string;
  /** A sentence without its full stop, for what the replacement does not say. */
  note?: string;
}

/** Suggests what to write instead of `part`, which `field` does not take. A list is looked at value by value. */
export function suggestCronField(field: CronField, part: string): FieldSuggestion {
  const suggestions = part.split(",").map((item) => (isAcceptedIn(field, item) ? { meant: item } : suggestValue(field, item)));
  const meant = suggestions.map((suggestion) => suggestion.meant ?? "").join(",");
  const note = suggestions.find((suggestion) => suggestion.note !== undefined)?.note;
  return { ...(isAcceptedIn(field, meant) ? { meant } : {}), ...(note === undefined ? {} : { note }) };
}

/** Says how to write "every `seconds`", which no cron expression can say in general. */
export function describeInterval(seconds: number): string {
  const isPossible = Number.isInteger(seconds) && seconds >= 1 && seconds <= intervalSecondsMax;
  return `use kind "interval"${isPossible ? ` with interval_seconds ${seconds}` : ""}`;
}

function suggestValue(field: CronField, item: string): FieldSuggestion {
  const words = item.match(/[A-Z]{3,}/gi) ?? [];
  const misplaced = namedFields.find(
    (other) => other !== field && words.some((word) => abbreviate(other, word, { slipsMax: 0 }) !== undefined),
  );
  if (misplaced !== undefined) return { note: `${item} is a ${misplaced.name}` };
  const spelled = item.replaceAll(/[A-Z]{3,}/gi, (word) => spell(field, word));
  return suggestMark(field, spelled) ?? suggestRange(field, spelled) ?? suggestStep(field, spelled) ?? { meant: spelled };
}

/** Signs that mean something elsewhere, and values that stand one beyond the field. */
function suggestMark(field: CronField, item: string): FieldSuggestion | undefined {
  const [, range = "*", step] = /^H(?:\((\d+-\d+)\))?(\/\d+)?$/i.exec(item) ?? [];
  if (step !== undefined) return { meant: range + step };
  if (/^H(?:\(|$)/i.test(item)) return { note: "H is Jenkins' word for a value that it chooses; choose one yourself" };
  if (field.name === "day of month" && /^L-0$/i.test(item)) return { meant: "L" };
  if (field.name === "day of week" && /^L$/i.test(item)) return { note: "L by itself is a day of month; the last Saturday is SATL" };
  if (field.least === 1 && item === "0") return { note: `The lowest ${field.name} is 1` };
  if (item !== String(field.most + 1)) return undefined;
  if (field.name === "hour") return { meant: "0", note: "Midnight is hour 0" };
  if (field.most === 59) return { meant: "0", note: `"0" is every full ${field.name === "second" ? "minute" : "hour"}` };
  return undefined;
}

/** A range that runs past the end of the field: 22-5 becomes 22-23,0-5, and 22-2/2 the hours it means. */
function suggestRange(field: CronField, item: string): FieldSuggestion | undefined {
  const [, first = "", last = "", step] = /^(\w+)-(\w+)(?:\/(\d+))?$/.exec(item) ?? [];
  const [from, to] = [valueOf(field, first), valueOf(field, last)];
  if (from === undefined || to === undefined) return undefined;
  // Who writes 9-24 means until midnight.
  if (to === field.most + 1 && field.least === 0) return { meant: item.replace(`-${last}`, `-${field.most}`) };
  if (from <= to || from > field.most || to < field.least) return undefined;
  if (step !== undefined && step !== "1") return { meant: listAround(field, { from, to, step: Number(step) }) };
  const nameOf = (value: number) => (/\d/.test(first) ? String(value) : (field.names[value - field.least] ?? "").slice(0, 3));
  const join = (low: string, high: string) => (low === high ? low : `${low}-${high}`);
  return { meant: `${join(first, nameOf(field.most))},${join(nameOf(field.least), last)}` };
}

function listAround({ least, most }: CronField, { from, to, step }: { from: number; to: number; step: number }): string {
  const size = most - least + 1;
  const count = step < 1 ? 0 : Math.floor((to + size - from) / step) + 1;
  return Array.from({ length: count }, (_, index) => ((from - least + index * step) % size) + least).join(",");
}

function suggestStep(field: CronField, item: string): FieldSuggestion | undefined {
  const [, base = "", stepText = ""] = /^([^/]*)\/(\d+)$/.exec(item) ?? [];
  if (stepText === "") return undefined;
  const step = Number(stepText);
  const isAll = base === "" || base === "*" || base === String(field.least);
  if (step === 0) return { meant: isAll ? "*" : base, ...(isAll ? { note: `Every ${field.name} is "*" or "*/1"` } : {}) };
  if (step > field.most - field.least + 1) {
    if (!isAll || field.stepSeconds === undefined) return undefined;
    const unit = field.name === "day of month" ? "day" : field.name;
    return { note: `For every ${step} ${unit}s ${describeInterval(step * field.stepSeconds)}` };
  }
  if (isAll) return { meant: `*/${step}` };
  return /^\w+$/.test(base) ? { meant: `${base}-${field.most}/${step}` } : undefined;
}

/** The value that a number or a name of three letters stands for. */
function valueOf(field: CronField, text: string): number | undefined {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  const index = field.names.findIndex((name) => name.slice(0, 3) === text.toUpperCase());
  return index === -1 ? undefined : index + field.least;
}

/** A name as expressions have it, where the field has one like it: MONDAY and MUN become MON, FRIDAYL becomes FRIL. */
function spell(field: CronField, word: string): string {
  const [, stem = word, last = ""] = field.name === "day of week" ? (/^(\w+?)(L?)$/i.exec(word) ?? []) : [];
  const name = abbreviate(field, stem);
  return name === undefined ? word : name + last;
}

/** The abbreviation of the name that was most likely meant. Of two that are equally near, it is the one with the same first letter. */
function abbreviate(field: CronField, word: string, options: { slipsMax?: number } = {}): string | undefined {
  const upper = word.toUpperCase();
  const begun = field.names.find((name) => name.startsWith(upper));
  const known = field.names.toSorted((a, b) => Number(b[0] === upper[0]) - Number(a[0] === upper[0]));
  return (begun ?? closestName(upper, known, { ...options, spellingsOf: (name) => [name, name.slice(0, 3)] }))?.slice(0, 3);
}
