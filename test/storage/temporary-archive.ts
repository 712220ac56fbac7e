/** Archives in directories of their own, removed when the test file has ended. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/** Gives a function that makes a new empty directory each time it is called. */
export function temporaryDirectories(): () => string {
  const directories: string[] = []
  afterAll(() => {
    for (const directory of directories) rmSync(directory, { recursive: true, force: true })
  })
  return () => {
    const directory = mkdtempSync(join(tmpdir(), 'seawall-storage-'))
    directories.push(directory)
    return directory
  }
}
