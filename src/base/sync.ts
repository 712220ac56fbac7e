/** Makes what was written survive a power cut. */
import { constants } from 'node:fs'
import { open, readdir } from 'node:fs/promises'
import { localIoError } from '../core/errors.ts'
import { type BytePath, display, join, toBytes } from './byte-path.ts'
import { SYNC_PATIENCE, withPatience } from './patience.ts'

/** Syncs that wait for the disk at the same time, which then serves them together. */
const concurrency = 16

export interface SyncOptions {
  /** Is heard between two files. */
  readonly signal: AbortSignal
  /** Is told of each file, and now and then while the disk is busy with one. */
  readonly progressed: () => void
}

/** Syncs a file or a directory itself. */
export async function sync(path: BytePath, { signal, progressed }: SyncOptions): Promise<void> {
  signal.throwIfAborted()
  try {
    const handle = await open(toBytes(path), constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      await withPatience(progressed, handle.sync(), SYNC_PATIENCE)
    } finally {
      await handle.close()
    }
  } catch (cause) {
    throw failed(path, cause)
  }
}

/** Syncs every file and directory below a directory, and itself. Does not follow symbolic links. */
export async function syncTree(directory: BytePath, options: SyncOptions): Promise<void> {
  const files: BytePath[] = []
  for (const entry of await entriesOf(directory)) {
    const path = join(directory, entry.name.toString('latin1'))
    if (entry.isDirectory()) await syncTree(path, options)
    else if (entry.isFile()) files.push(path)
  }
  const next = files.values()
  const worker = async () => {
    for (const path of next) await sync(path, options)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  await sync(directory, options)
}

async function entriesOf(directory: BytePath) {
  try {
    return await readdir(toBytes(directory), { encoding: 'buffer', withFileTypes: true })
  } catch (cause) {
    throw failed(directory, cause)
  }
}

function failed(path: BytePath, cause: unknown): Error {
  return localIoError('sync', display(path), cause, 'Check the disk.')
}
