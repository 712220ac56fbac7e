/** Reads the files of a data directory whose server goes on writing to them. */
import { constants } from 'node:fs'
import { type FileHandle, lstat, open } from 'node:fs/promises'
import { type Clock, systemClock } from '../core/clock.ts'
import { errno, localIoError, SeawallError } from '../core/errors.ts'
import { display, parentOf, toBytes } from './byte-path.ts'
import { isDatabaseDirectory, mustBeWhole } from './exclusions.ts'
import { factsOf, type ScanEntry } from './scan.ts'

export interface SourceFile {
  /** What was found, with the size that the backup will hold. */
  readonly entry: ScanEntry
  /**
   * The content: exactly `entry.size` bytes. What the file has got meanwhile beyond them is left to WAL replay; what it
   * has lost is filled with zeroes, which replay overwrites or truncates.
   * @param buffer is reused: a chunk is valid until the next one is asked for.
   */
  read(buffer: Uint8Array): AsyncGenerator<Uint8Array>
  close(): Promise<void>
}

interface Waiting {
  readonly clock?: Clock
  readonly signal?: AbortSignal
}

/** Milliseconds that the server may need to remove the rest of a dropped database. */
const dropPatience = 25_000
const dropPoll = 100

/**
 * Opens a file that a scan found; undefined if it has vanished, as a file of a dropped relation does, or all of a dropped
 * database.
 * @throws SeawallError `refused` if a file that may not vanish or shrink does, `local-io` for anything else.
 */
export async function openSource(found: ScanEntry, waiting: Waiting = {}): Promise<SourceFile | undefined> {
  const handle = await openFile(found, waiting)
  if (!handle) return undefined
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw changed(found, 'it is no longer a file')
    const entry: ScanEntry = { ...found, ...factsOf(stats) }
    return { entry, read: (buffer) => read(entry, handle, buffer), close: () => handle.close() }
  } catch (error) {
    await handle.close()
    throw failure(found, error)
  }
}

async function openFile(found: ScanEntry, waiting: Waiting): Promise<FileHandle | undefined> {
  try {
    return await open(toBytes(found.source), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw failure(found, error)
    if (!mustBeWhole(found.path) || (await isDropped(found, waiting))) return undefined
    throw changed(found, 'it has vanished', error)
  }
}

/** Whether a file of a database is gone because the whole database goes. WAL replay drops what the backup has got of it. */
async function isDropped(found: ScanEntry, { clock = systemClock, signal }: Waiting): Promise<boolean> {
  if (!isDatabaseDirectory(parentOf(found.path))) return false
  const end = clock.monotonic() + dropPatience
  while (await directoryExists(found)) {
    if (clock.monotonic() > end) return false
    await clock.sleep(dropPoll, signal)
  }
  return true
}

async function directoryExists(found: ScanEntry): Promise<boolean> {
  try {
    await lstat(toBytes(parentOf(found.source)))
    return true
  } catch (error) {
    if (errno(error) === 'ENOENT') return false
    throw failure(found, error)
  }
}

async function* read(entry: ScanEntry, handle: FileHandle, buffer: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let position = 0; position < entry.size; ) {
    const wanted = Math.min(buffer.length, entry.size - position)
    let length: number
    try {
      length = (await handle.read(buffer, 0, wanted, position)).bytesRead
    } catch (error) {
      throw failure(entry, error)
    }
    if (length === 0) {
      if (mustBeWhole(entry.path)) throw changed(entry, `it ended after ${position} of ${entry.size} bytes`)
      buffer.fill(0, 0, wanted)
      length = wanted
    }
    position += length
    yield buffer.subarray(0, length)
  }
}

function changed(entry: ScanEntry, reason: string, cause?: unknown): SeawallError {
  return new SeawallError('refused', {
    operation: 'back up',
    object: display(entry.source),
    reason: `${reason} while it was being backed up`,
    hint: 'Find out what changed it (a file of this kind never vanishes or shrinks), and take the backup again.',
    cause,
  })
}

function failure(entry: ScanEntry, cause: unknown): unknown {
  if (cause instanceof SeawallError) return cause
  return localIoError(
    'back up',
    display(entry.source),
    cause,
    "base-push must run as the server's user; after an I/O error, check the disk.",
  )
}
