import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { takeLock } from "./lock.ts";

const folder = await mkdtemp(join(tmpdir(), "downbeat-lock-"));
afterAll(() => rm(folder, { recursive: true }));

test("one holder at a time; released, the next may have it", () => {
  const first = takeLock(folder);
  expect(first).toBeDefined();
  expect(takeLock(folder)).toBeUndefined();
  first?.release();
  const next = takeLock(folder);
  expect(next).toBeDefined();
  next?.release();
});
