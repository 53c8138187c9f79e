import { expect, test } from "vitest";
import { LruCache } from "./lru-cache.ts";

test("the least recently used value is forgotten when the cache is full", () => {
  const cache = new LruCache<string>(2);
  const created: string[] = [];
  const get = (key: string) =>
    cache.getOrCreate(key, () => {
      created.push(key);
      return key.toUpperCase();
    });
  for (const key of ["a", "b", "a", "c", "a", "b"]) expect(get(key)).toBe(key.toUpperCase());
  expect(created).toEqual(["a", "b", "c", "b"]);
  expect(cache.size).toBe(2);
});

test("a value that could not be created is not kept", () => {
  const cache = new LruCache<string>(2);
  const key = "no such thing";
  expect(() =>
    cache.getOrCreate(key, () => {
      throw new Error(key);
    }),
  ).toThrow(key);
  expect(cache.size).toBe(0);
});
