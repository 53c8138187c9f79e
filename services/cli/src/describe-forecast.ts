import type { Forecast } from "./api-answers.ts";
import { count } from "./describe-backfill.ts";
import { formatDuration } from "./format-instant.ts";
import { type Column, formatTable } from "./format-table.ts";
import { printable } from "./printable.ts";

/** Characters of the longest bar. */
const barWidth = 40;

const peaksShown = 10;

/** A minute that has so many times the mean is a herd. */
const herdFactor = 10;

/** A forecast for people: what is to come, its busiest day hour by hour, and its peaks. */
export function describeForecast(forecast: Forecast): string[] {
  const { from, to, schedules, occurrences, peaks } = forecast;
  const [peak] = peaks;
  const stretch = `${formatMinute(from)} to ${formatMinute(to)}`;
  if (peak === undefined)
    return [
      `nothing is going to run from ${stretch}: ${schedules === 0 ? "there are no live schedules" : `${count(schedules, "live schedule")}, without an occurrence in that time`}`,
    ];
  return [
    `${stretch}: ${count(schedules, "schedule")}, ${count(occurrences, "run")}, ${formatMean(forecast.runs_per_minute_mean)} a minute on average`,
    describePeak(forecast, peak),
    ...describeDays(forecast),
    "",
    ...describeBusiestDay(forecast),
    "",
    ...describePeaks(peaks),
    ...describeHerd(forecast, peak),
  ];
}

type Peak = Forecast["peaks"][number];

function describePeak({ runs_per_minute_mean: mean, limits }: Forecast, peak: Peak): string {
  const times = mean === 0 ? "" : `, ${number(Math.round(peak.count / mean))} times the average`;
  const takes =
    peak.seconds === null
      ? ""
      : `; with ${count(limits.slots ?? 0, "slot")} and ${limits.call_seconds} s a call that takes ${formatDuration(peak.seconds * 1_000)}`;
  return `busiest minute ${formatMinute(peak.minute)}: ${count(peak.count, "run")}${times}${takes}`;
}

/** Days on which the tenant's limit is exceeded; nothing where there is no limit. */
function describeDays({ days }: Forecast): string[] {
  const limit = days.find((day) => day.limit !== null)?.limit;
  if (limit === undefined || limit === null) return [];
  const over = days.filter((day) => day.is_over === true);
  if (over.length === 0) return [`every day is within the limit of ${number(limit)} runs a day`];
  return over.map(
    ({ day, count: runs, used }) =>
      `${day} is over the limit of ${number(limit)} runs a day: ${number(runs)} to come${used === 0 ? "" : `, ${number(used)} so far`}; what is too much will be skipped`,
  );
}

function describeBusiestDay({ days, hours }: Forecast): string[] {
  const busiest = days.reduce((most, day) => (day.count > most.count ? day : most));
  const ofDay = hours.filter(({ hour }) => hour.startsWith(busiest.day));
  const most = Math.max(...ofDay.map((hour) => hour.count));
  const width = Math.max(...ofDay.map((hour) => number(hour.count).length));
  return [
    `${busiest.day}, the busiest day, by the hour (UTC)`,
    ...ofDay.map(({ hour, count: runs, busiest_minute_count: minute }) => {
      const bar = "#".repeat(runs === 0 ? 0 : Math.max(1, Math.round((runs / most) * barWidth)));
      return `${hour.slice(11, 16)}  ${number(runs).padStart(width)}  ${bar.padEnd(barWidth)}  ${runs === 0 ? "" : `up to ${number(minute)} a minute`}`.trimEnd();
    }),
  ];
}

const columns: Column<Peak>[] = [
  { title: "minute", value: ({ minute }) => formatMinute(minute) },
  { title: "runs", value: ({ count: runs }) => number(runs), align: "right" },
  { title: "takes", value: ({ seconds }) => (seconds === null ? null : formatDuration(seconds * 1_000)), align: "right" },
  { title: "schedules", value: ({ schedules }) => number(schedules), align: "right" },
  {
    title: "tenants",
    value: ({ tenants }) =>
      tenants
        ?.slice(0, 3)
        .map(({ slug, count: runs }) => `${slug} ${number(runs)}`)
        .join(", "),
  },
  {
    title: "endpoints",
    value: ({ endpoints }) =>
      endpoints
        .slice(0, 3)
        .map(({ name, count: runs }) => `${name} ${number(runs)}`)
        .join(", "),
  },
  {
    title: "such as",
    value: ({ top_schedules: top }) =>
      top
        .slice(0, 2)
        .map(({ name }) => name)
        .join(", "),
  },
];

function describePeaks(peaks: readonly Peak[]): string[] {
  const shown = peaks.slice(0, peaksShown);
  const isAbsent = { takes: shown.every(({ seconds }) => seconds === null), tenants: shown.every(({ tenants }) => tenants === undefined) };
  return formatTable(
    shown,
    columns.filter(({ title }) => !(title in isAbsent && isAbsent[title as keyof typeof isAbsent])),
  );
}

function describeHerd({ runs_per_minute_mean: mean }: Forecast, { count: runs, top_schedules: [first] }: Peak): string[] {
  if (runs < 2 || runs < mean * herdFactor || first === undefined) return [];
  return ["", `next: downbeat schedules spread --within 15m --dry-run, with a filter that finds schedules like ${printable(first.name)}`];
}

function formatMinute(minute: string): string {
  return minute.replace("T", " ").replace(/:00\.000Z$/, "Z");
}

function formatMean(mean: number): string {
  return mean >= 100 ? number(Math.round(mean)) : String(Number(mean.toPrecision(3)));
}

function number(amount: number): string {
  return amount.toLocaleString("en-US");
}
