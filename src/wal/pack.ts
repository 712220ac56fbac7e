/** Turns a WAL file into the bytes of its object, with memory bounded for every segment size. */
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { encodeWalHeader, FRAME_SIZE, type WalObjectHeader } from '../archive/wal-object.ts'
import type { Codec, Level } from '../codec/codec.ts'
import { SeawallError } from '../core/errors.ts'
import type { CallOptions, Content } from '../storage/storage.ts'
import { readFailed } from './read-failed.ts'

/** Files up to this size are compressed once, into memory; larger ones twice, so that nothing is held. */
const heldInMemory = 64 * 1024 * 1024

export interface Packed {
  readonly header: WalObjectHeader
  /** The whole object, header frame included. */
  readonly content: Content
}

/**
 * @param facts of the file, checked before.
 * @param size in bytes, which the file must still have.
 * @throws SeawallError `local-io` if the file is shorter than it was.
 */
export async function packWalFile(
  handle: FileHandle,
  path: string,
  facts: Pick<WalObjectHeader, 'name' | 'size' | 'systemIdentifier' | 'postgresMajor'>,
  codec: Codec,
  level: Level,
  options: CallOptions,
): Promise<Packed> {
  const hold = facts.size <= heldInMemory
  const held: Uint8Array[] = []
  const hash = createHash('sha256')
  let storedSize = 0
  for await (const plain of readFrames(handle, path, facts.size, options)) {
    hash.update(plain)
    const frame = codec.compress(plain, level)
    storedSize += frame.length
    if (hold) held.push(frame)
  }
  const header = { ...facts, storedSize, sha256: hash.digest('hex') }
  const headerFrame = encodeWalHeader(header)
  if (hold) return { header, content: [headerFrame, ...held] }
  return { header, content: packAgain(handle, path, header, headerFrame, codec, level, options) }
}

/** The second time over a large file: the object's bytes, which must come out as they were counted. */
async function* packAgain(
  handle: FileHandle,
  path: string,
  header: WalObjectHeader,
  headerFrame: Uint8Array,
  codec: Codec,
  level: Level,
  options: CallOptions,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let storedSize = 0
  yield headerFrame
  for await (const plain of readFrames(handle, path, header.size, options)) {
    hash.update(plain)
    const frame = codec.compress(plain, level)
    storedSize += frame.length
    yield frame
  }
  if (hash.digest('hex') !== header.sha256 || storedSize !== header.storedSize) {
    throw changed(path, 'its content changed')
  }
}

/** The file in pieces of one frame, all in one buffer that is used again. */
async function* readFrames(
  handle: FileHandle,
  path: string,
  size: number,
  { signal, onProgress }: CallOptions,
): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(Math.min(FRAME_SIZE, size))
  for (let position = 0; position < size; ) {
    const wanted = Math.min(buffer.length, size - position)
    let length = 0
    while (length < wanted) {
      signal?.throwIfAborted()
      const { bytesRead } = await handle
        .read(buffer, length, wanted - length, position + length)
        .catch(readFailed(path))
      if (bytesRead === 0) throw changed(path, `it ended after ${position + length} of ${size} bytes`)
      length += bytesRead
      onProgress?.(bytesRead)
    }
    position += length
    yield buffer.subarray(0, length)
  }
}

function changed(path: string, how: string): SeawallError {
  return new SeawallError('local-io', {
    operation: 'archive',
    object: path,
    reason: `${how} while it was being read`,
    hint: 'Find out what writes into pg_wal besides PostgreSQL. The file was not archived.',
  })
}
