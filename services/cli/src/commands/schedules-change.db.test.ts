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
  acme = await api.addTenant("acme");
  stateFolder = await mkdtemp(join(tmpdir(), "downbeat-cli-"));
});
afterAll(async () => {
  await rm(stateFolder, { recursive: true });
  await api.close();
});

/** Runs a command against the real API, with the tenant's own key. */
async function downbeat(parameters: string[], environment: Record<string, string> = {}) {
  const printed: string[] = [];
  const remarks: string[] = [];
  const cli = {
    environment: { DOWNBEAT_URL: api.url, DOWNBEAT_API_KEY: acme.key, DOWNBEAT_STATE_DIR: stateFolder, ...environment },
    print: (line: string) => void printed.push(line),
    remark: (line: string) => void remarks.push(line),
  };
  await buildProgram(cli).parseAsync(parameters, { from: "user" });
  return { printed, text: printed.join("\n"), remarks };
}

const schedules = (...parameters: string[]) => downbeat(["schedules", ...parameters]);
const json = async (...parameters: string[]) => JSON.parse((await schedules(...parameters, "--json")).text);
const create = (name: string, ...parameters: string[]) => schedules("create", "--name", name, "--endpoint", "shop", ...parameters);

const instant = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?Z`;

describe("a schedule, from the command line", () => {
  test("is tried, created with every policy, and told about its clock changes", async () => {
    const words = [
      "--frequency",
      "dailyAt(02:30)",
      "--timezone",
      "America/New_York",
      "--spread",
      "10m",
      "--grace",
      "none",
      "--overlap",
      "queue_one",
    ];
    const tried = await create("nightly", ...words, "--dry-run");
    expect(tried.printed[0]).toMatch(
      new RegExp(`^would run first ${instant}: 30 runs in 30 days where it was 0; at most 9 queue requests; nothing was created$`),
    );
    expect((await json("list")).items).toEqual([]);
    const created = await create("nightly", ...words);
    expect(created.printed[0]).toMatch(new RegExp(`^created nightly \\([0-9a-f-]{36}\\); first run ${instant}$`));
    expect(created.printed.slice(1)).toEqual(tried.printed.slice(1));
    expect(created.printed[1]).toMatch(/^clock change: .*America\/New_York; by dst_/);
    expect(await json("show", "nightly")).toMatchObject({
      frequency: "dailyAt(02:30)",
      spread: "10m",
      grace_seconds: null,
      overlap: "queue_one",
    });
  });

  test("is shown, in the list with its preset and its spread", async () => {
    const { text } = await schedules("show", "nightly");
    expect(text).toMatch(
      /^schedule {7}nightly\nid {13}[0-9a-f-]{36}\ntenant {9}acme\nstate {10}active\nrule {11}dailyAt\(02:30\) = 30 2 \* \* \* America\/New_York\n/,
    );
    expect(text).toMatch(new RegExp(`next run {7}${instant}\nof {13}${instant}\nspread {9}10m\n`));
    expect(text).toContain("\nlate           latest; missed when later than ever (no limit)\n");
    expect(text).toContain("\ncalls          POST on shop\n");
    const { printed } = await schedules("list");
    expect(printed[0]).toMatch(/^NAME +STATE +RULE +SPREAD +ENDPOINT/);
    expect(printed[1]).toMatch(/^nightly +active +dailyAt\(02:30\) = 30 2 \* \* \* America\/New_York +10m +shop/);
  });

  test("is changed, after a look at what it would mean; a jump of frequency has to be confirmed", async () => {
    const tried = await schedules("update", "nightly", "--every", "1h", "--dry-run");
    expect(tried.printed).toEqual([
      expect.stringMatching(new RegExp(`^would run next ${instant}; nothing was changed$`)),
      expect.stringMatching(/^impact: 7\d\d runs in 30 days where it was 30 \(\d+ more, 30 fewer\); at most 21\d queue requests$/),
    ]);
    expect(await json("show", "nightly")).toMatchObject({ kind: "cron", revision: 1 });
    await expect(schedules("update", "nightly", "--every", "30s")).rejects.toThrow(/confirm is missing: .* \(409 confirmation_needed\)/);
    const { printed } = await schedules("update", "nightly", "--every", "30s", "--spread", "none", "--confirm");
    expect(printed[0]).toMatch(new RegExp(`^changed nightly \\([0-9a-f-]{36}\\); next run ${instant}$`));
    expect(printed[1]).toMatch(/^impact: 86,\d{3} runs in 30 days where it was 30/);
    expect(await json("show", "nightly")).toMatchObject({
      kind: "interval",
      interval_seconds: 30,
      spread: null,
      grace_seconds: null,
      overlap: "queue_one",
    });
  });

  test("keeps the part of its target that no option speaks of", async () => {
    await schedules("update", "nightly", "--method", "PUT", "--path", "/a");
    await schedules("update", "nightly", "--path", "/b", "--input", '{"x":1}');
    expect(await json("show", "nightly")).toMatchObject({ target: { type: "http", method: "PUT", path: "/b" }, input: { x: 1 } });
    expect((await schedules("show", "nightly")).text).toContain('\ncalls          PUT /b on shop\ninput          {"x":1}\n');
  });

  test("is paused with what that costs, and resumed with what became of it", async () => {
    await create("daily", "--cron", "0 0 * * *");
    expect((await schedules("pause", "daily", "--reason", "stocktaking")).printed).toEqual([
      "paused daily: until it is resumed; its occurrences, 1 in the first day, are skipped (on_resume skip)",
    ]);
    expect((await schedules("show", "daily")).text).toMatch(new RegExp(`\nstate {10}paused since ${instant}: stocktaking\n`));
    const until = new Date(Date.now() + 10 * 86_400_000).toISOString();
    expect((await schedules("pause", "daily", "--until", until)).text).toMatch(
      /; 10 occurrences in that time: 10 skipped \(on_resume skip\)$/,
    );
    expect((await schedules("resume", "daily", "--on-resume", "latest")).text).toMatch(new RegExp(`^resumed daily; next run ${instant}$`));
  });

  test("is deleted when that was said twice: with --yes, or to the question", async () => {
    const { id } = await json("show", "daily");
    await expect(schedules("delete", "daily")).rejects.toThrow(
      expect.objectContaining({ exitCode: 2, message: "nothing was deleted: add --yes to delete daily (0 0 * * * UTC)" }),
    );
    expect((await schedules("delete", "daily", "--yes")).printed).toEqual([
      `deleted daily (${id}); its runs: downbeat runs list --schedule ${id}`,
    ]);
    await expect(schedules("show", "daily")).rejects.toThrow("404 not_found");
  });
});

describe("many schedules, from the command line", () => {
  test("are spread in one go, after a look, and only those that the filter finds", async () => {
    for (const name of ["herd-a", "herd-b", "herd-c"]) await create(name, "--cron", "0 0 * * *");
    const tried = await schedules("spread", "--within", "15m", "--cron", "0 0 * * *", "--dry-run");
    expect(tried.printed[0]).toBe("would spread 3 schedules within 15m; nothing was changed");
    expect(tried.printed.slice(2)).toHaveLength(4);
    const { printed } = await schedules("spread", "--within", "15m", "--name-contains", "herd-");
    expect(printed[0]).toBe("spread 3 schedules within 15m");
    expect(printed.slice(1)).toEqual(tried.printed.slice(1));
    expect(printed[3]).toMatch(/^herd-[abc] +\d{4}-\d\d-\d\d 00:00:00Z +\d{4}-\d\d-\d\d 00:(0\d|1[0-4]):\d\d(\.\d+)?Z$/);
    expect((await json("show", "nightly")).spread).toBeNull();
    expect((await schedules("spread", "--within", "none", "--name-contains", "herd-")).printed[0]).toBe("took the spread from 3 schedules");
    expect((await schedules("spread", "--within", "5m", "--name-contains", "nobody")).printed).toEqual(["no such schedules"]);
  });

  test("more than one request may change are spread in parts", async () => {
    const crowd = await api.addTenant("crowd");
    await api.admin`
      with made as (
        insert into downbeat.schedules (tenant_id, name, kind, cron_expression, endpoint_id, target)
        select ${crowd.id}, 'crowd ' || number, 'cron', case when number % 10 = 0 then '5 5 * * *' else '0 0 * * *' end, id, '{"type":"http","method":"POST","path":""}'
        from downbeat.endpoints, generate_series(1, 1300) number where tenant_id = ${crowd.id}
        returning tenant_id, id
      )
      insert into downbeat.schedule_due (tenant_id, schedule_id, next_run_at) select tenant_id, id, now() + interval '1 day' from made`;
    const { printed, remarks } = await downbeat(["schedules", "spread", "--within", "15m", "--cron", "0 0 * * *"], {
      DOWNBEAT_API_KEY: crowd.key,
    });
    expect(printed[0]).toBe("spread 1,170 schedules within 15m");
    expect(printed.at(-1)).toBe("and 1,150 more schedules");
    expect(remarks).toEqual(["1000 of 1,170 schedules", "1170 of 1,170 schedules"]);
    const [stored] =
      await api.admin`select count(*)::int as spread from downbeat.schedules where tenant_id = ${crowd.id} and spread_seconds = 900`;
    expect(stored).toEqual({ spread: 1_170 });
  });

  test("without a word on which, nothing is spread", async () => {
    await expect(schedules("spread", "--within", "5m")).rejects.toThrow(expect.objectContaining({ exitCode: 2 }));
  });
});

describe("the forecast, from the command line", () => {
  test("shows the herd, what the slots make of it, and what to do about it", async () => {
    const { printed } = await downbeat(["forecast", "--days", "2", "--slots", "1", "--call-seconds", "2", "--name-contains", "herd-"]);
    expect(printed[0]).toMatch(/: 3 schedules, 6 runs, 0\.00208 a minute on average$/);
    expect(printed[1]).toMatch(
      /^busiest minute \d{4}-\d\d-\d\d 00:00Z: 3 runs, 1,440 times the average; with 1 slot and 2 s a call that takes 6\.0 s$/,
    );
    expect(printed.find((line) => line.startsWith("00:00"))).toMatch(/^00:00 +3 +#{40} +up to 3 a minute$/);
    expect(printed.at(-1)).toMatch(/^next: downbeat schedules spread --within 15m --dry-run/);
    const answered = JSON.parse((await downbeat(["forecast", "--json", "--name-contains", "herd-"])).text);
    expect(answered).toMatchObject({ schedules: 3, is_cut: false });
  });

  test("of nothing says so; an administrator may ask for all tenants", async () => {
    const empty = await api.addTenant("empty");
    expect((await downbeat(["forecast"], { DOWNBEAT_API_KEY: empty.key })).text).toMatch(
      /^nothing is going to run from .*: there are no live schedules$/,
    );
    const all = { DOWNBEAT_API_KEY: api.adminKey, DOWNBEAT_TENANT: "empty" };
    expect((await downbeat(["forecast", "--all-tenants", "--name-contains", "herd-"], all)).text).toMatch(
      /MINUTE +RUNS +SCHEDULES +TENANTS +ENDPOINTS +SUCH AS\n.* acme 3 /,
    );
  });
});
