/** Reading objects below a local root. */
import { constants, type Stats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { errno } from '../core/errors.ts'
import { archiveIoError, changedObject, foreignEntry } from './local-errors.ts'
import { confirmWay, pathOf, type Root } from './local-root.ts'
import type { ByteRange, CallOptions, ObjectInfo, StoredObject } from './storage.ts'

/** Bytes of a chunk, each in a buffer of its own. */
const chunkSize = 1024 * 1024

/** Size and time of the file under a key; undefined if there is none and the root is there. */
export async function head(root: Root, key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
  options?.signal?.throwIfAborted()
  const info = await infoOf(root, key)
  if (!info) await confirmWay(root, key)
  return info
}

export async function get(
  root: Root,
  key: string,
  range: ByteRange | undefined,
  options?: CallOptions,
): Promise<StoredObject | undefined> {
  const info = await head(root, key, options)
  return info && { ...info, body: { [Symbol.asyncIterator]: () => read(root, info, range, options) } }
}

/** Like `head`, without a look at the root: for files that a directory was just seen to have. */
export async function infoOf(root: Root, key: string): Promise<ObjectInfo | undefined> {
  const path = pathOf(root, key)
  let status: Stats
  try {
    status = await root.fileSystem.lstat(path)
  } catch (error) {
    if (errno(error) === 'ENOENT') return undefined
    throw archiveIoError('read', path, error)
  }
  if (!status.isFile()) throw foreignEntry('read', path, 'it is no regular file')
  return { key, size: status.size, modified: status.mtime }
}

/** Opens the file only when it is read, so that an object that nobody reads holds nothing. */
async function* read(
  root: Root,
  { key, size }: ObjectInfo,
  range: ByteRange | undefined,
  options: CallOptions | undefined,
): AsyncGenerator<Uint8Array> {
  const path = pathOf(root, key)
  options?.signal?.throwIfAborted()
  const file = await open(root, key, path)
  try {
    const status = await file.stat().catch(failed(path))
    if (!status.isFile()) throw foreignEntry('read', path, 'it is no regular file')
    if (status.size !== size) throw changedObject('read', path, `it has ${status.size} bytes, and had ${size} before`)
    const end = Math.min(range?.end ?? size, size)
    for (let position = range?.start ?? 0; position < end; ) {
      options?.signal?.throwIfAborted()
      const chunk = await readChunk(file, path, position, Math.min(chunkSize, end - position))
      position += chunk.length
      options?.onProgress?.(chunk.length)
      yield chunk
    }
  } finally {
    await file.close()
  }
}

async function open(root: Root, key: string, path: string): Promise<FileHandle> {
  try {
    // Without O_NONBLOCK, opening a FIFO would wait for a writer.
    return await root.fileSystem.open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw archiveIoError('read', path, error)
    await confirmWay(root, key)
    throw changedObject('read', path, 'it was removed before it could be read')
  }
}

/** Reads exactly `size` bytes. */
async function readChunk(file: FileHandle, path: string, position: number, size: number): Promise<Uint8Array> {
  const chunk = Buffer.allocUnsafeSlow(size)
  for (let filled = 0; filled < size; ) {
    const { bytesRead } = await file.read(chunk, filled, size - filled, position + filled).catch(failed(path))
    if (bytesRead === 0) {
      throw changedObject('read', path, `it ends after ${position + filled} bytes, in the middle of what it had before`)
    }
    filled += bytesRead
  }
  return chunk
}

function failed(path: string): (error: unknown) => never {
  return (error) => {
    throw archiveIoError('read', path, error)
  }
}
