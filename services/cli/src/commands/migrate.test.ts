import { spawn } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type EmbeddedPostgres, freePort, removePostgres, startPostgres } from "@downbeat/embedded/postgres.ts";
import { readMigrations } from "@downbeat/store/migrate.ts";
import { afterAll, beforeAll, expect, test } from "vitest";

const program = fileURLToPath(new URL("../../bin/downbeat.js", import.meta.url));

let folder: string;
let options: Parameters<typeof startPostgres>[0];
let server: EmbeddedPostgres;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "downbeat-migrate-"));
  // mkdtemp closes the folder to everybody else; the server may run as another user.
  await chmod(folder, 0o755);
  options = { dataDir: join(folder, "postgres"), port: await freePort(), isDurable: false };
  server = await startPostgres(options);
});
afterAll(async () => {
  await server.stop();
  await removePostgres(options.dataDir);
  await rm(folder, { recursive: true });
});

/** The real program as a deploy runs it. `remarks` are the lines of its standard error, and `onRemark` sees each as it comes. */
async function migrate(url: string, parameters: string[], onRemark: (line: string) => void = () => {}) {
  const { PATH } = process.env;
  const child = spawn(process.execPath, [program, "migrate", ...parameters], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...(PATH === undefined ? {} : { PATH }), DATABASE_URL: url },
  });
  const remarks: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    remarks.push(line);
    onRemark(line);
  });
  let stdout = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  const code = await new Promise((resolve) => child.once("close", resolve));
  return { code, stdout, remarks };
}

test("a Postgres that comes up later is waited for, with one remark for each try, and then migrated; standard output is the JSON alone", async () => {
  await server.stop();
  let starting: Promise<void> | undefined;
  const { code, stdout, remarks } = await migrate(server.url, ["--wait", "60", "--json"], () => {
    starting ??= startPostgres(options).then((started) => void (server = started));
  });
  await starting;
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ applied: (await readMigrations()).map(({ name }) => name) });
  expect(remarks[0]).toMatch(/^cannot reach Postgres: connect ECONNREFUSED 127\.0\.0\.1:\d+; trying again in \d\.\d s$/);
  expect(remarks.at(-1)).toBe("recovered: reach Postgres");
  for (const remark of remarks.slice(0, -1)) expect(remark).toMatch(/^cannot reach Postgres: /);
});

test.each([
  ["nobody listens", async () => `127.0.0.1:${await freePort()}`],
  ["the name is not in DNS", async () => "postgres.invalid:5432"],
])("where %s until the time is over, the command says so and fails", async (_why, findAddress) => {
  const { code, stdout, remarks } = await migrate(`postgres://postgres:x@${await findAddress()}/postgres`, ["--wait", "1"]);
  expect([code, stdout]).toEqual([1, ""]);
  expect(remarks.at(-1)).toMatch(/^error: Postgres did not answer within 1 s, the last time: .+/);
});

test.each([
  ["a wrong password", (url: URL) => void (url.password = "wrong"), /password authentication failed/],
  ["a database that does not exist", (url: URL) => void (url.pathname = "/nowhere"), /database "nowhere" does not exist/],
])("%s is not waited for", async (_what, spoil, message) => {
  const url = new URL(server.url);
  spoil(url);
  const { code, remarks } = await migrate(url.href, ["--wait", "600"]);
  expect(code).toBe(1);
  expect(remarks).toEqual([expect.stringMatching(message)]);
});

test("without --wait a Postgres that does not answer fails the command at once", async () => {
  const { code, remarks } = await migrate(`postgres://postgres:x@127.0.0.1:${await freePort()}/postgres`, []);
  expect(code).toBe(1);
  expect(remarks).toEqual([expect.stringMatching(/^error: nothing answers at 127\.0\.0\.1:\d+\. Is it running\?$/)]);
});
