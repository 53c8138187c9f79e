import type { Reporter, TestModule, TestRunEndReason } from "vitest/node";

/**
 * Writes `N passed, N failed` alone on the last line, for whoever reads only that. A file that could not be loaded, an error outside a test and a run that
 * was cut short count as failures: silence must not look like success.
 */
export default class CountReporter implements Reporter {
  #line = "0 passed, 1 failed";

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[], reason: TestRunEndReason): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    let skipped = 0;
    for (const module of modules) {
      if (module.errors().length > 0) failed += 1;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed += 1;
        else if (state === "failed") failed += 1;
        else skipped += 1;
      }
    }
    if (reason === "interrupted" || (reason === "failed" && failed === 0)) failed += 1;
    this.#line = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
    // Other reporters and the teardown still have something to say after this hook.
    process.once("exit", () => process.stdout.write(`${this.#line}\n`));
  }
}
