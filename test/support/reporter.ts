/** The last line of a test run: `N passed, N failed`, and `, N skipped` if any were. */
import type { Reporter } from 'vitest/node'

export function countsReporter(): Reporter {
  return {
    onTestRunEnd: (modules, unhandledErrors) => {
      const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0, pending: 0 }
      for (const module of modules) {
        // A file that can not even be loaded, or a hook that fails, is no test but a failure all the same.
        counts.failed += module.errors().length
        for (const suite of module.children.allSuites()) counts.failed += suite.errors().length
        for (const test of module.children.allTests()) counts[test.result().state]++
      }
      const skipped = counts.skipped + counts.pending
      process.stdout.write(
        `\n${counts.passed} passed, ${counts.failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}\n`,
      )
    },
  }
}
