import type { Reporter, TestModule, TestRunEndReason } from "vitest/node";

/**
 * Writes `N passed, N failed` alone on the last line, for whoever reads only that. A file that could not be loaded, an error outside a test and a run that
 * was cut short or never began count as failures: silence must not look like success. Skipped tests are in neither number.
 */
export default class CountReporter implements Reporter {
  #line = "0 passed, 1 failed";

  onInit(): void {
    // Other reporters and the teardown still have something to say after the run has ended.
    process.once("exit", () => process.stdout.write(`${this.#line}\n`));
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[], reason: TestRunEndReason): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    for (const module of modules) {
      if (module.errors().length > 0) failed += 1;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed += 1;
        else if (state === "failed") failed += 1;
      }
    }
    if (reason === "interrupted" || (reason === "failed" && failed === 0)) failed += 1;
    this.#line = `${passed} passed, ${failed} failed`;
  }
}
