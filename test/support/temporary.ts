/** Temporary directories, and everything else that must be gone when a test file (or the demo) has ended. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processesUsing } from './processes.ts'
import { giveToServersUser } from './servers-user.ts'

type Disposer = () => void | Promise<void>

const disposers: Disposer[] = []

/** Registers what `cleanUp` calls, last registered first. */
export function onCleanUp(dispose: Disposer): void {
  disposers.push(dispose)
}

/**
 * A new empty directory that belongs to the user of the servers, with a short path, so that a socket fits into it.
 * `cleanUp` removes it, and fails if a process still uses it.
 */
export function temporaryDirectory(prefix = 'sw-'): string {
  const directory = mkdtempSync(join(realpathSync(tmpdir()), prefix))
  giveToServersUser(directory)
  onCleanUp(() => removeDirectory(directory))
  return directory
}

/** Removes a directory, and first gives the processes that use it a moment to end. */
async function removeDirectory(directory: string): Promise<void> {
  const deadline = performance.now() + 10_000
  let leaked = processesUsing(directory)
  while (leaked.length > 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    leaked = processesUsing(directory)
  }
  for (const { pid } of leaked) process.kill(pid, 'SIGKILL')
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  if (leaked.length > 0) {
    const list = leaked.map(({ pid, command }) => `${pid}: ${command}`).join('\n')
    throw new Error(`processes outlived the test that started them in ${directory}:\n${list}`)
  }
}

/** Disposes of everything registered, whatever fails on the way; then throws what failed. */
export async function cleanUp(): Promise<void> {
  const failures: unknown[] = []
  for (let dispose = disposers.pop(); dispose; dispose = disposers.pop()) {
    try {
      await dispose()
    } catch (failure) {
      failures.push(failure)
    }
  }
  if (failures.length === 1) throw failures[0]
  if (failures.length > 1) throw new AggregateError(failures, failures.map(String).join('\n'))
}
