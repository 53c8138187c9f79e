import { createServer, type Server } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkPorts } from "./ports.ts";

const anyPorts = { DOWNBEAT_API_PORT: 0, DOWNBEAT_POSTGRES_PORT: 0, DOWNBEAT_SQS_PORT: 0, DOWNBEAT_RECEIVER_PORT: 0 };
let other: Server;
let taken: number;

beforeEach(async () => {
  other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  taken = (other.address() as AddressInfo).port;
});
afterEach(() => new Promise<void>((resolve) => void other.close(() => resolve())));

test("a port that is taken is named with what needs it and the variable that changes it", async () => {
  await expect(checkPorts({ ...anyPorts, DOWNBEAT_SQS_PORT: taken }, undefined)).rejects.toThrow(
    `port ${taken}, which the SQS server needs, is taken by another program: set DOWNBEAT_SQS_PORT to another port`,
  );
});

test("each of several taken ports gets its line", async () => {
  const failure = await checkPorts({ ...anyPorts, DOWNBEAT_API_PORT: taken, DOWNBEAT_SQS_PORT: taken }, undefined).catch(
    (error: Error) => error,
  );
  expect(failure?.message.split("\n")).toEqual([
    expect.stringContaining(`port ${taken}, which the API needs`),
    expect.stringContaining("wanted twice, by DOWNBEAT_API_PORT and DOWNBEAT_SQS_PORT"),
  ]);
});

test("the port of a Postgres that outlived its `downbeat dev` is no obstacle, for Postgres only", async () => {
  await expect(checkPorts({ ...anyPorts, DOWNBEAT_POSTGRES_PORT: taken }, taken)).resolves.toBeUndefined();
  await expect(checkPorts({ ...anyPorts, DOWNBEAT_API_PORT: taken }, taken)).rejects.toThrow("which the API needs");
});

test("free ports pass, and nothing keeps listening on them", async () => {
  const free = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
  await checkPorts({ ...anyPorts, DOWNBEAT_RECEIVER_PORT: free }, undefined);
  await expect(checkPorts({ ...anyPorts, DOWNBEAT_RECEIVER_PORT: free }, undefined)).resolves.toBeUndefined();
});
