/** The directories that a backup is restored into: empty ones, and nobody else's. */
import { chmod, mkdir, readdir, realpath } from 'node:fs/promises'
import path from 'node:path'
import { errno, localIoError, SeawallError } from '../core/errors.ts'
import { runningPostmaster } from '../postgres/postmaster.ts'
import { bytePathOf } from './byte-path.ts'
import { type SyncOptions, sync } from './sync.ts'

const hint = 'Restore into a directory that this user may write, and that does not exist or is empty.'

/**
 * Refuses a directory that holds anything. Writes nothing.
 * @param advice what to do about one that is not empty.
 * @throws SeawallError `refused`, `local-io`
 */
export async function requireEmpty(directory: string, advice: string): Promise<void> {
  let names: string[]
  try {
    names = await readdir(directory)
  } catch (cause) {
    if (errno(cause) === 'ENOENT') return
    if (errno(cause) === 'ENOTDIR') throw refused(directory, 'it, or what leads to it, is no directory', advice)
    throw localIoError('restore into', directory, cause, hint)
  }
  if (names.length === 0) return
  const postmaster = names.includes('postmaster.pid') ? await runningPostmaster(directory) : undefined
  if (postmaster) {
    throw refused(directory, `a PostgreSQL server runs on it (process ${postmaster.pid})`, 'Restore into another one.')
  }
  throw refused(directory, `it is not empty: it holds ${names.sort().slice(0, 3).join(', ')}`, advice)
}

/** Makes the directory, if it is absent, and its permissions those that PostgreSQL wants. @returns its real path */
export async function prepareDirectory(directory: string, options: SyncOptions): Promise<string> {
  try {
    const created = await mkdir(directory, { recursive: true, mode: 0o700 })
    await chmod(directory, 0o700)
    const real = await realpath(directory)
    if (created !== undefined) await syncBetween(await realpath(path.dirname(created)), path.dirname(real), options)
    return real
  } catch (cause) {
    if (cause instanceof SeawallError) throw cause
    throw localIoError('restore into', directory, cause, hint)
  }
}

/** Syncs the directories in which new ones were made, so that these survive a power cut. */
async function syncBetween(first: string, last: string, options: SyncOptions): Promise<void> {
  for (let directory = last; ; directory = path.dirname(directory)) {
    await sync(bytePathOf(directory), options)
    if (directory === first || directory === path.dirname(directory)) return
  }
}

function refused(object: string, reason: string, advice: string): SeawallError {
  return new SeawallError('refused', { operation: 'restore into', object, reason, hint: advice })
}
