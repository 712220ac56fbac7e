/** Makes what was written survive a power cut. */
import { constants } from 'node:fs'
import { open, readdir } from 'node:fs/promises'
import { localIoError } from '../core/errors.ts'
import { type BytePath, display, join, toBytes } from './byte-path.ts'

/** Syncs that wait for the disk at the same time, which then serves them together. */
const concurrency = 16

export async function syncDirectory(path: string): Promise<void> {
  await sync(Buffer.from(path, 'utf8').toString('latin1'))
}

/** Syncs every file and directory below a directory, and itself. Does not follow symbolic links. */
export async function syncTree(directory: BytePath): Promise<void> {
  const entries = await readdir(toBytes(directory), { encoding: 'buffer', withFileTypes: true })
  const files: BytePath[] = []
  for (const entry of entries) {
    const path = join(directory, entry.name.toString('latin1'))
    if (entry.isDirectory()) await syncTree(path)
    else if (entry.isFile()) files.push(path)
  }
  const next = files.values()
  const worker = async () => {
    for (const path of next) await sync(path)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  await sync(directory)
}

async function sync(path: BytePath): Promise<void> {
  try {
    const handle = await open(toBytes(path), constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (cause) {
    throw localIoError('sync', display(path), cause, 'Check the disk.')
  }
}
