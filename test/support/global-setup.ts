/** Builds dist/ once, before any test runs the launchers. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export default function setup(): void {
  if (process.env.SEAWALL_TEST_SKIP_BUILD) return
  const build = fileURLToPath(new URL('../../scripts/build.ts', import.meta.url))
  const { status, error } = spawnSync(process.execPath, [build], { stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0) throw new Error(`scripts/build.ts failed with ${status ?? error}`)
}
