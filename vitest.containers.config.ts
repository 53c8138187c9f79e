import { defineConfig } from "vitest/config";
import shared from "./vitest.config.ts";

/**
 * The suites that work on Postgres or a queue, for `make test-containers`: the same files as in `make test`, on the servers that `DATABASE_URL` and `AWS_ENDPOINT_URL` name. What takes a
 * server down (tests/fault/postgres-away, queue-away) brings its own of that kind and takes the other from here.
 */
export default defineConfig({
  ...shared,
  test: {
    ...shared.test,
    include: ["tests/{integration,fault,containers}/**/*.test.ts", "{libs,services}/**/*.db.test.ts", ...onQueueOnly()],
    exclude: [...withoutContainers()],
    // Servers in containers answer later than embedded ones, and all test files share them.
    env: { TEST_DEADLINE_MS: "45000" },
    testTimeout: 90_000,
    maxWorkers: 2,
  },
});

function onQueueOnly(): string[] {
  return ["libs/queue/src/queue-contract.test.ts", "services/executor/src/message-settler.test.ts"];
}

/** What cannot run there, with the reason. */
function withoutContainers(): string[] {
  return [
    // Looks at the layout of the image's files and has no use for another server.
    "tests/integration/image-layout.test.ts",
  ];
}
