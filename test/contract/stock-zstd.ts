/** The stock `zstd` program, which everything written must satisfy. */
import { execFileSync } from 'node:child_process'
import { test } from 'vitest'

function isInstalled(): boolean {
  try {
    execFileSync('zstd', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A test that needs the program: skipped where it is not installed, but not in CI, where that is a failure. */
export const testWithStockZstd = isInstalled() || process.env.CI === 'true' ? test : test.skip

/** Runs the program on bytes. Throws if it does not end with 0. */
export function stockZstd(options: readonly string[], input: Uint8Array): Buffer {
  return execFileSync('zstd', ['-q', '-c', ...options], { input, maxBuffer: 1 << 30, stdio: ['pipe', 'pipe', 'pipe'] })
}
