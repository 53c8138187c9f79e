/**
 * What the images hold, started from where nothing of the clone is in reach: a temporary folder laid out as `/app` is. With the images' names in `SCHEDULER_IMAGE` and `API_IMAGE`, the same
 * stories run in containers of them, on a machine with a Docker engine.
 */
import { randomUUID } from "node:crypto";
import { type AddressInfo, createServer } from "node:net";
import { buildProgram } from "@downbeat/cli/program.ts";
import { type EmbeddedSqs, startSqs } from "@downbeat/embedded/sqs.ts";
import { connect, type Sql } from "@downbeat/store/connect.ts";
import { arrangeEndpoint, arrangeSchedules, databaseNow, testSecretKeys } from "@downbeat/testkit/arrange.ts";
import { databaseUrl } from "@downbeat/testkit/global-setup.ts";
import { startReceiver } from "@downbeat/testkit/receiver.ts";
import type { LogLine, ServiceProcess } from "@downbeat/testkit/service-process.ts";
import type { Command } from "commander";
import { afterAll, beforeAll, expect, inject, test, vi } from "vitest";
import { startCredentialSources } from "./credential-sources.ts";
import { type Entry, openPlace, type Place } from "./image-places.ts";

// A container takes longer to start than a process, and a busy machine longer still.
vi.setConfig({ testTimeout: 120_000 });

let place: Place;
let server: Sql;
let admin: Sql;
let sqs: EmbeddedSqs;
let database: string;
let environment: Record<string, string>;
const processes: ServiceProcess[] = [];

beforeAll(async () => {
  place = await openPlace();
  sqs = await startSqs({ port: 0 });
  const serverUrl = inject("databaseServerUrl");
  server = connect({ url: serverUrl, connectionsMax: 1, applicationName: "test-database" });
  database = `image_${randomUUID().slice(0, 8)}`;
  await server.unsafe(`create database ${database}`);
  const url = databaseUrl(serverUrl, database);
  admin = connect({ url, connectionsMax: 2, applicationName: "test-admin" });
  environment = { DATABASE_URL: url, AWS_ENDPOINT_URL: sqs.endpoint, DOWNBEAT_SECRET_KEYS: testSecretKeys };
  // The commands of a first installation, which all tests below need.
  await run("downbeat", ["migrate"]);
  const created = await run("downbeat", ["queue", "create", "--name", "image"]);
  environment["SQS_QUEUE_URL"] = /^SQS_QUEUE_URL=(\S+)/m.exec(created)?.[1] ?? "";
}, 120_000);

afterAll(async () => {
  await Promise.all(processes.map((process) => process.kill()));
  await admin.end();
  await server.unsafe(`drop database ${database} with (force)`);
  await server.end();
  await sqs.stop();
  await place.remove();
});

function start(entry: Entry, parameters: readonly string[], variables: Record<string, string> = {}): ServiceProcess {
  const process = place.start(entry, parameters, { ...environment, ...variables });
  processes.push(process);
  return process;
}

/** Everything the process printed, when it has ended well. */
async function run(entry: Entry, parameters: readonly string[], variables?: Record<string, string>): Promise<string> {
  const process = start(entry, parameters, variables);
  const exit = await process.exited;
  const output = process.output.join("\n");
  expect({ ...exit, output }).toEqual({ code: 0, signal: null, output });
  return output;
}

const says =
  (text: string) =>
  ({ msg }: LogLine) =>
    msg === text;

test("the bundle needs no packages: none are within its reach", async () => {
  expect(await place.findPackages()).toEqual([]);
});

test("the schema is brought forward once, by the migrations that lie beside the bundle", async () => {
  expect((await admin`select 1 from downbeat.migrations`).length).toBeGreaterThan(0);
  expect(await run("downbeat", ["migrate"])).toContain("nothing to apply");
});

test("a due schedule passes dispatcher and executor: one pass ends with exit code 0, and SIGTERM drains the executor to exit code 0", async () => {
  const receiver = await startReceiver();
  const endpoint = await arrangeEndpoint(admin, receiver.url);
  const dueAt = Math.ceil(await databaseNow(admin));
  await arrangeSchedules(admin, endpoint, { rule: { kind: "once", runAt: dueAt }, nextRunAt: dueAt });
  const executor = start("executor", [], { ALLOW_PRIVATE_TARGETS: "true", RECEIVE_WAIT_SECONDS: "1" });
  const dispatcher = start("dispatcher", [], { DISPATCH_FOR_SECONDS: "0" });
  expect(await dispatcher.exited).toEqual({ code: 0, signal: null });
  expect(dispatcher.logs.find(says("pass"))).toMatchObject({ claimed: 1, sent: 1 });
  // What a Job's start costs is told by the Job itself.
  expect(dispatcher.logs.find(says("first claim"))).toMatchObject({ sinceStartMs: expect.any(Number) });
  expect(dispatcher.logs.find(says("ended"))).toMatchObject({ peakRssMiB: expect.any(Number) });
  await receiver.received(1);
  await executor.logged("the attempt is recorded", says("attempt"));
  executor.signal("SIGTERM");
  expect(await executor.exited).toEqual({ code: 0, signal: null });
  await receiver.close();
});

test("the API answers /health and a key that the command line made, and SIGTERM ends it with exit code 0", async () => {
  const api = start("api", [], { API_HOST: "127.0.0.1", API_PORT: "0" });
  const { url } = await api.logged("it listens", says("listening"));
  for (const path of ["/health", "/api/v1/openapi.json"]) {
    const answer = await fetch(`${String(url)}${path}`);
    // Read to its end: an answer under way is waited for.
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringMatching(/^\{/)]);
  }
  const [key = ""] = /sk_\S+/.exec(await run("downbeat", ["keys", "create", "--scope", "admin"])) ?? [];
  const client = { DOWNBEAT_URL: String(url), DOWNBEAT_API_KEY: key };
  await run("downbeat", ["tenants", "create", "acme"], client);
  expect(await run("downbeat", ["tenants", "list"], client)).toContain("acme");
  api.signal("SIGTERM");
  expect(await api.exited).toEqual({ code: 0, signal: null });
});

test("commands that bring their parts when they run find them", async () => {
  expect(await run("downbeat", ["queue", "status"])).toContain("image");
  expect(await run("downbeat", ["dispatch", "--dry-run"])).not.toBe("");
  await run("downbeat", ["dispatch", "--for", "0"]);
});

test("a command that waits heeds SIGTERM also as a container's process 1, and does not count as done", async () => {
  let isAsked = () => {};
  const asked = new Promise<void>((resolve) => (isAsked = resolve));
  const silent = createServer((socket) => {
    // Read, so that the client's end of the connection is noticed.
    socket.on("error", () => {}).resume();
    isAsked();
  });
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo;
  const migrate = start("downbeat", ["migrate"], { DATABASE_URL: `postgres://nobody@127.0.0.1:${port}/none` });
  await asked;
  migrate.signal("SIGTERM");
  expect(await migrate.exited).toEqual({ code: 143, signal: null });
  await new Promise((resolve) => silent.close(resolve));
});

test("`downbeat dev` says that it is not in the image", async () => {
  const dev = start("downbeat", ["dev", "--clean"]);
  expect(await dev.exited).toEqual({ code: 1, signal: null });
  expect(dev.output).toEqual([expect.stringContaining("`downbeat dev` is not in this image")]);
});

test("every command explains itself", async () => {
  const program = buildProgram({ environment: {}, print: () => {}, remark: () => {} });
  const names = namesOf(program).filter((parameters) => parameters[0] !== "dev");
  const first = names.slice(0, Math.ceil(names.length / 2));
  const explain = async (some: typeof names) => {
    for (const parameters of some) {
      const help = await run("downbeat", [...parameters, "--help"]);
      expect(help).toMatch(new RegExp(`^Usage: downbeat ${parameters.join(" ")}`));
    }
  };
  await Promise.all([explain(first), explain(names.slice(first.length))]);
});

/** Of each command below, `["queue", "create"]`. */
function namesOf(command: Command): string[][] {
  return command.commands.flatMap((child) => [[child.name()], ...namesOf(child).map((names) => [child.name(), ...names])]);
}

test.for(["environment", "web identity (IRSA)", "container (Pod Identity, ECS)", "instance (IMDS)"] as const)(
  "a dispatcher reaches the queue with credentials from the %s",
  async (source) => {
    const sources = await startCredentialSources(place.folder);
    const endpoint = await arrangeEndpoint(admin, "http://127.0.0.1:1");
    const dueAt = Math.ceil(await databaseNow(admin));
    await arrangeSchedules(admin, endpoint, { rule: { kind: "once", runAt: dueAt }, nextRunAt: dueAt });
    const dispatcher = start("dispatcher", [], {
      DISPATCH_FOR_SECONDS: "0",
      // Downbeat's own variable for other servers brings placeholder credentials; the SDK's does not.
      AWS_ENDPOINT_URL: "",
      AWS_ENDPOINT_URL_SQS: sqs.endpoint,
      SQS_QUEUE_URL: `${sqs.endpoint}/000000000000/image`,
      ...sources.variables[source],
    });
    expect(await dispatcher.exited).toEqual({ code: 0, signal: null });
    expect(dispatcher.logs.find(says("pass"))).toMatchObject({ claimed: 1, sent: 1, sendFailed: 0 });
    expect(sources.asked).toEqual(sources.questions[source]);
    await sources.close();
  },
);
