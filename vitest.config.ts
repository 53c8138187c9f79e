import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{libs,services,tests}/**/*.test.ts"],
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
