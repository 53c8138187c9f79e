import { configDefaults, defineConfig } from "vitest/config";
import { findHelm } from "./scripts/chart/find-helm.ts";

export default defineConfig({
  test: {
    include: ["{libs,services,tests}/**/*.test.ts"],
    exclude: [...configDefaults.exclude, ...(await withoutHelm())],
    globalSetup: ["./libs/testkit/src/global-setup.ts"],
    reporters: ["default", "./libs/testkit/src/count-reporter.ts"],
    // A guarantee that holds only sometimes does not hold.
    retry: 0,
    // Real processes on a busy laptop start slowly; nothing waits this long when all is well.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    allowOnly: false,
  },
});

/**
 * Tests of the chart render it with helm, which is fetched here once and not by each worker. Where it neither is installed nor can be fetched they are left out, and a line says so; where it should
 * have been fetched and was not, they fail.
 */
async function withoutHelm(): Promise<string[]> {
  try {
    await findHelm();
    return [];
  } catch (error) {
    process.stderr.write(`tests/chart: ${error instanceof Error ? error.message : String(error)}\n`);
    return process.platform === "linux" && process.arch === "x64" ? [] : ["tests/chart/**"];
  }
}
