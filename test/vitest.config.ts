import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { countsReporter } from './support/reporter.ts'

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    include: ['test/**/*.test.ts'],
    passWithNoTests: false,
    allowOnly: false,
    setupFiles: 'test/support/setup.ts',
    globalSetup: 'test/support/global-setup.ts',
    pool: 'forks',
    maxWorkers: 2,
    // A server's start or a whole restore on a busy machine.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default', countsReporter()],
  },
})
