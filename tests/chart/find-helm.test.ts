import { expect, test } from "vitest";
import { isVersionNewEnough } from "../../scripts/chart/find-helm.ts";

test("A helm on the path is used when it is 3.18 or newer, and a newer one is fetched otherwise", () => {
  expect(["v3.18.0", "v3.19.2+g1234", "v4.1.4", "v10.0.0"].filter((version) => !isVersionNewEnough(version))).toEqual([]);
  expect(["v3.17.4", "v3.9.0", "v2.17.0", "", "unknown"].filter((version) => isVersionNewEnough(version))).toEqual([]);
});
