import { spawnSync } from "node:child_process";
import { ConfigError, readConfig } from "@downbeat/runtime/config.ts";
import { expect, it } from "vitest";
import { apiConfig } from "./config.ts";

const key = Buffer.alloc(32, 1).toString("base64");

const read = (ring: string) => readConfig(apiConfig, { DATABASE_URL: "postgres://x", DOWNBEAT_SECRET_KEYS: ring });

it("a wrong key ring is refused without repeating key material", () => {
  expect(read(`k1:${key}`).API_PORT).toBe(4600);
  expect(() => read(key)).toThrow(ConfigError);
  expect(() => read(`k1:${key.slice(4)}`)).toThrow(/DOWNBEAT_SECRET_KEYS is wrong: key 1 of the ring \("k1"\) holds 29 bytes/);
  expect(() => read(`k1:${key},${key}`)).toThrow(expect.objectContaining({ message: expect.not.stringContaining(key) }));
});

it("the process ends with code 2 and names every variable that is missing", () => {
  const main = new URL("main.ts", import.meta.url).pathname;
  const { status, stderr } = spawnSync(process.execPath, [main], { env: { PATH: process.env["PATH"] }, encoding: "utf8" });
  expect(status).toBe(2);
  expect(stderr).toMatch(/^DATABASE_URL is not set/m);
  expect(stderr).toMatch(/^DOWNBEAT_SECRET_KEYS is not set/m);
});
