import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTestApi, type TestApi, type TestTenant } from "@downbeat/api/start-test-api.test-support.ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildProgram } from "../program.ts";

let api: TestApi;
let acme: TestTenant;
let stateFolder: string;
beforeAll(async () => {
  api = await startTestApi();
  stateFolder = await mkdtemp(join(tmpdir(), "downbeat-cli-"));
});
afterAll(async () => {
  await rm(stateFolder, { recursive: true });
  await api.close();
});

/** Runs a command against the real API and answers what it printed. An administrator's, with a tenant in the environment as `downbeat dev` has it. */
async function downbeat(parameters: string[], environment: Record<string, string> = {}) {
  const printed: string[] = [];
  const remarks: string[] = [];
  const cli = {
    environment: {
      DOWNBEAT_URL: api.url,
      DOWNBEAT_API_KEY: api.adminKey,
      DOWNBEAT_TENANT: "acme",
      DOWNBEAT_STATE_DIR: stateFolder,
      ...environment,
    },
    print: (line: string) => void printed.push(line),
    remark: (line: string) => void remarks.push(line),
  };
  await buildProgram(cli).parseAsync(parameters, { from: "user" });
  return { printed, text: printed.join("\n"), remarks };
}

async function json(parameters: string[]) {
  return JSON.parse((await downbeat([...parameters, "--json"])).text);
}

describe("tenants", () => {
  test("with none, the list says what to type next; that makes one and shows its key once", async () => {
    expect((await downbeat(["tenants", "list"])).printed).toEqual(["no tenants yet; next: downbeat tenants create <slug>"]);
    const { printed, remarks } = await downbeat(["tenants", "create", "acme", "--name", "Acme"]);
    expect([printed, remarks]).toEqual([[expect.stringMatching(/^sk_/)], [expect.stringMatching(/^created acme \(.*\); keep its key/)]]);
    acme = { id: "", slug: "acme", key: printed[0] ?? "" };
    const body = { name: "shop", base_url: "http://127.0.0.1:9/hooks" };
    expect((await api.call("POST", "/api/v1/endpoints", { key: acme.key, body })).status).toBe(201);
    expect((await json(["tenants", "list"])).items).toMatchObject([{ slug: "acme", name: "Acme", maintenance: null }]);
  });

  test("limits are set, shown and taken back", async () => {
    const { text } = await downbeat([
      "tenants",
      "update",
      "acme",
      "--interval-min",
      "300",
      "--schedules-max",
      "10",
      "--runs-per-day-max",
      "5000",
    ]);
    expect(text).toMatch(/shortest time +300 s between two occurrences\nschedules +at most 10\nruns a day +at most 5000/);
    expect((await downbeat(["tenants", "list"])).printed).toEqual([
      "SLUG  NAME  INTERVAL MIN  SCHEDULES MAX  RUNS A DAY MAX  MAINTENANCE",
      "acme  Acme           300             10            5000  -",
    ]);
    const back = ["--interval-min", "default", "--schedules-max", "default", "--runs-per-day-max", "default"];
    expect((await json(["tenants", "update", "acme", ...back, "--name", "Acme & Co"])).limits).toEqual({
      interval_seconds_min: null,
      schedules_max: null,
      runs_per_day_max: null,
    });
    expect((await downbeat(["tenants", "show", "acme"])).text).toMatch(/name +Acme & Co\n(.*\n)*schedules +no limit\n/);
  });

  test("maintenance goes on, is extended and goes off, by the tenant's own key as well", async () => {
    const own = { DOWNBEAT_API_KEY: acme.key };
    const on = await downbeat(["tenants", "maintenance", "acme", "--on", "--reason", "moving house"], own);
    expect(on.printed).toEqual(["maintenance of acme: on, until it is ended"]);
    const until = "2090-01-01T00:00:00Z";
    const extended = await downbeat(["tenants", "maintenance", "acme", "--on", "--until", until]);
    expect(extended.printed).toEqual(["maintenance of acme: on, until 2090-01-01 00:00:00Z"]);
    expect((await downbeat(["tenants", "show", "acme"], own)).text).toMatch(/maintenance +on, until 2090-01-01 00:00:00Z\n +moving house$/);
    expect((await downbeat(["tenants", "maintenance", "acme", "--off"])).printed).toEqual(["maintenance of acme: off"]);
    const planned = await downbeat(["tenants", "maintenance", "acme", "--on", "--from", "2089-12-31T23:00:00Z", "--until", until]);
    expect(planned.printed).toEqual(["maintenance of acme: planned from 2089-12-31 23:00:00Z until 2090-01-01 00:00:00Z"]);
    expect((await json(["tenants", "maintenance", "acme", "--off"])).maintenance).toBeNull();
  });

  test.each([
    [["tenants", "update", "acme"], "say what to change"],
    [["tenants", "maintenance", "acme"], "say which: --on or --off"],
    [["tenants", "maintenance", "acme", "--off", "--until", "2090-01-01T00:00:00Z"], "--until goes with --on"],
  ])("%j is wrong usage", async (parameters, message) => {
    await expect(downbeat(parameters)).rejects.toMatchObject({ exitCode: 2, message: expect.stringContaining(message) });
  });

  test("what the API refuses reads as one line that names the field", async () => {
    await expect(downbeat(["tenants", "update", "acme", "--interval-min", "99999"])).rejects.toThrow(
      /^limits\.interval_seconds_min must be a whole number from 1 to 86400, or null for the installation's default, got 99999 \(422 invalid_value\)$/,
    );
    await expect(downbeat(["tenants", "show", "nobody"])).rejects.toThrow("There is no such tenant. (404 not_found)");
  });
});

describe("calendars", () => {
  test("with none, the list says what to type next, and that works as it stands", async () => {
    const { printed } = await downbeat(["calendars", "list"]);
    const [, next = ""] = /next: downbeat (.*) \(see/.exec(printed[0] ?? "") ?? [];
    expect((await downbeat(next.split(" "))).printed).toEqual([expect.stringMatching(/^created holidays \(.*\), of acme$/)]);
    expect((await json(["calendars", "list"])).items).toMatchObject([{ name: "holidays", scope: "tenant", entries: ["12-25"] }]);
  });

  test("one of the installation is made with --installation, whatever tenant the environment names", async () => {
    const entries = ["2089-12-24/2089-12-26", "SAT,SUN", "MON-FRI 18:00-24:00", "12-31"].flatMap((entry) => ["--entry", entry]);
    const made = [
      "calendars",
      "create",
      "--installation",
      "--name",
      "closed",
      "--kind",
      "blackout",
      "--timezone",
      "Europe/Berlin",
      ...entries,
    ];
    expect((await downbeat(made)).printed).toEqual([expect.stringMatching(/^created closed \(.*\), for every tenant$/)]);
    expect((await downbeat(["calendars", "list"])).printed).toEqual([
      "NAME      OF              KIND      TIMEZONE       ENTRIES",
      "closed    (installation)  blackout  Europe/Berlin  2089-12-24/2089-12-26, SAT,SUN, MON-FRI 18:00-24:00 and 1 more",
      "holidays  acme            blackout  UTC            12-25",
    ]);
    await expect(downbeat(["calendars", "delete", "closed"])).rejects.toThrow("belongs to the installation");
    expect((await downbeat(["calendars", "delete", "closed", "--installation"])).printed).toEqual(["deleted closed"]);
  });

  test("a change shows every schedule it moves, first with --dry-run", async () => {
    const body = { name: "new year", cron_expression: "0 9 1 1 *", endpoint: "shop", calendars: ["holidays"] };
    const { body: schedule } = await api.call("POST", "/api/v1/schedules", { key: acme.key, body });
    const first = Number(String(schedule.next_run_at).slice(0, 4));
    const update = ["calendars", "update", "holidays", "--entry", "12-25", "--entry", `${first}-01-01`];
    const table = [
      "",
      "SCHEDULE  TENANT  NEXT RUN BEFORE       AFTER",
      `new year  acme    ${first}-01-01 09:00:00Z  ${first + 1}-01-01 09:00:00Z`,
    ];
    expect((await downbeat([...update, "--dry-run"])).printed).toEqual([
      "would mean: 1 schedule computed anew, 0 runs withdrawn",
      ...table,
    ]);
    expect((await downbeat(update)).printed).toEqual(["changed holidays: 1 schedule computed anew, 0 runs withdrawn", ...table]);
    expect((await downbeat(["calendars", "show", "holidays"])).text).toMatch(
      new RegExp(`used by +1 schedule\\nchanged .*\\n\\n {2}12-25\\n {2}${first}-01-01$`),
    );
    const emptied = await downbeat(["calendars", "update", "holidays", "--entry", "MON-SUN"]);
    expect(emptied.printed[0]).toBe(
      "changed holidays: 1 schedule computed anew, 0 runs withdrawn, 1 completed, because nothing is left of it",
    );
    expect((await downbeat(["calendars", "update", "holidays", "--name", "days off"])).printed).toEqual([
      "changed days off: no schedule is concerned",
    ]);
  });

  test("one that is used is not deleted, and the line names who uses it", async () => {
    await expect(downbeat(["calendars", "delete", "days off"])).rejects.toThrow(
      /1 schedule uses the calendar "days off": "new year".*\(409 in_use\)$/,
    );
  });

  test("every entry that cannot be read has its line, with the forms that can", async () => {
    const made = downbeat(["calendars", "create", "--name", "x", "--kind", "allow", "--entry", "noon", "--entry", "2026-02-30"]);
    await expect(made).rejects.toThrow(
      /^entries\.0 is "noon"; an entry looks like one of: 2026-12-25 .*\nentries\.1 is "2026-02-30", which is not a date/,
    );
  });

  test("an update that changes nothing is wrong usage", async () => {
    await expect(downbeat(["calendars", "update", "days off"])).rejects.toMatchObject({ exitCode: 2 });
  });
});
