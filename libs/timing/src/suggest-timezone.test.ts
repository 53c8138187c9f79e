import { expect, test } from "vitest";
import { suggestTimezone } from "./suggest-timezone.ts";

test.each([
  ["America/NewYork", "America/New_York"],
  ["America/New_Yrok", "America/New_York"],
  ["new york", "America/New_York"],
  ["Berlin", "Europe/Berlin"],
  ["Europe-Berlin", "Europe/Berlin"],
  ["Asia/Kolkatta", "Asia/Kolkata"],
  ["Europe/Kyivv", "Europe/Kyiv"],
  ["Amercia/Los_Angeles", "America/Los_Angeles"],
  ["UTZ", "UTC"],
])("who writes %s means %s", (written, meant) => {
  expect(suggestTimezone(written)).toBe(meant);
});

test.each(["Europe/Munich", "Mars/Olympus_Mons", "", "x".repeat(10_000)])("nothing is near %s", (written) => {
  expect(suggestTimezone(written)).toBeNull();
});
