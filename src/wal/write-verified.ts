/** Writes a fetched WAL file so that it appears under its final name only when every check has passed. */
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import type { WalObject } from '../archive/wal-object.ts'
import { isTemporaryNameOf, temporaryName } from '../core/durable-file.ts'
import { localIoError, SeawallError } from '../core/errors.ts'
import { isSegmentSize, MAX_TEXT_SIZE, segmentNumber, segmentStart, type WalFile } from '../core/wal-names.ts'
import { parseWalPageHeader, WAL_PAGE_HEADER_SIZE } from '../core/wal-page-header.ts'
import type { CallOptions } from '../storage/storage.ts'

const hint = 'Check the free space and the permissions of the data directory.'

export interface Destination {
  /** Absolute path at which the file appears, complete and verified, or not at all. */
  readonly path: string
  /** What the file must be. */
  readonly file: WalFile
  readonly systemIdentifier: string
}

/**
 * The file is not synced: PostgreSQL does so itself when it takes the file over (KeepFileRestoredFromArchive), and a
 * crash before that makes it ask again.
 */
export async function writeVerified(destination: Destination, object: WalObject, options: CallOptions): Promise<void> {
  requirePossibleSize(destination.file, object.header.size)
  await sweepAbandoned(destination.path)
  const temporary = temporaryName(destination.path)
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await writeContent(handle, destination, object, options)
    } finally {
      await handle.close()
    }
    options.signal?.throwIfAborted()
    await rename(temporary, destination.path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error instanceof SeawallError ? error : localIoError('write', destination.path, error, hint)
  }
}

/** Asked before anything is written: a full pg_wal stops the server. */
function requirePossibleSize(file: WalFile, size: number): void {
  const isSegment = file.kind === 'segment' || file.kind === 'partial'
  if (isSegment ? isSegmentSize(size) : size <= MAX_TEXT_SIZE) return
  throw new SeawallError('corrupt', {
    operation: 'fetch',
    object: file.name,
    reason: `its header says ${size} bytes, which no such file has`,
    hint: 'The archived object is not what its name says. Restore it from a copy of the archive.',
  })
}

async function writeContent(
  handle: FileHandle,
  destination: Destination,
  { header, content }: WalObject,
  { signal, onProgress }: CallOptions,
): Promise<void> {
  let position = 0
  let head = Buffer.alloc(0)
  for await (const chunk of content) {
    signal?.throwIfAborted()
    if (head.length < WAL_PAGE_HEADER_SIZE) {
      head = Buffer.concat([head, chunk.subarray(0, WAL_PAGE_HEADER_SIZE - head.length)])
    }
    for (let offset = 0; offset < chunk.length; ) {
      const { bytesWritten } = await handle.write(chunk, offset, chunk.length - offset, position)
      offset += bytesWritten
      position += bytesWritten
    }
    onProgress?.(chunk.length)
  }
  checkPageHeader(destination, header.size, head)
}

function checkPageHeader({ file, systemIdentifier }: Destination, size: number, head: Uint8Array): void {
  if (file.kind !== 'segment' && file.kind !== 'partial') return
  const header = parseWalPageHeader(head)
  const matches =
    header !== undefined &&
    header.systemIdentifier === BigInt(systemIdentifier) &&
    header.segmentSize === size &&
    header.address === segmentStart(segmentNumber(file.segment, size), size)
  if (matches) return
  throw new SeawallError('corrupt', {
    operation: 'fetch',
    object: file.name,
    reason: 'its content does not begin with the WAL page header that its name asks for',
    hint: 'The archived object is not what its name says. Restore it from a copy of the archive.',
  })
}

/** Removes what killed fetches to the same destination left: PostgreSQL asks for one file at a time. */
async function sweepAbandoned(destination: string): Promise<void> {
  const directory = path.dirname(destination)
  const base = path.basename(destination)
  let names: string[]
  try {
    names = await readdir(directory)
  } catch (cause) {
    throw localIoError('write', destination, cause, hint)
  }
  for (const name of names) {
    if (isTemporaryNameOf(base, name)) await rm(path.join(directory, name), { force: true })
  }
}
