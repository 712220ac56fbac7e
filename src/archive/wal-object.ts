/**
 * A WAL object: a zstd skippable frame with a small JSON header, followed by the content as zstd frames.
 * The stock tools skip the header; one ranged read of the first KiB tells what the object is and how long it must be.
 */
import { createHash } from 'node:crypto'
import type { Codec } from '../codec/codec.ts'
import { FORMAT_VERSION, isSystemIdentifier } from '../core/archive-layout.ts'
import { SeawallError } from '../core/errors.ts'
import { newerFormat, parseObject } from '../core/json-record.ts'
import { parseWalFileName } from '../core/wal-names.ts'
import type { CallOptions, ReadableStorage } from '../storage/storage.ts'

/** One of the 16 magic numbers of skippable frames (RFC 8878, 3.1.2); little-endian in the file. */
const skippableMagic = 0x184d2a5d
const frameHeaderSize = 8
/** The header with its frame fits into the first KiB. */
export const MAX_HEADER_SIZE = 1024
/** Plain bytes in each zstd frame but the last. */
export const FRAME_SIZE = 4 * 1024 * 1024

export interface WalObjectHeader {
  /** The file's name in pg_wal. */
  readonly name: string
  /** Plain bytes. */
  readonly size: number
  /** Bytes of the zstd frames after the header. */
  readonly storedSize: number
  /** Of the plain bytes, lower-case hex. */
  readonly sha256: string
  readonly systemIdentifier: string
  /** Major version of PostgreSQL; null if it was not known to the writer. */
  readonly postgresMajor: number | null
}

/** The skippable frame that an object begins with. */
export function encodeWalHeader(header: WalObjectHeader): Uint8Array {
  const json = Buffer.from(JSON.stringify({ formatVersion: FORMAT_VERSION, ...header }), 'utf8')
  if (json.length > MAX_HEADER_SIZE - frameHeaderSize) throw new RangeError(`WAL object header of ${json.length} bytes`)
  const frame = Buffer.alloc(frameHeaderSize + json.length)
  frame.writeUInt32LE(skippableMagic, 0)
  frame.writeUInt32LE(json.length, 4)
  json.copy(frame, frameHeaderSize)
  return frame
}

/**
 * Reads the header from the first bytes (a KiB, or all there are) of an object.
 * @throws SeawallError `corrupt`, `newer-format`
 */
export function parseWalHeader(bytes: Uint8Array, object: string): { header: WalObjectHeader; headerSize: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length =
    bytes.length >= frameHeaderSize && view.getUint32(0, true) === skippableMagic ? view.getUint32(4, true) : 0
  const headerSize = frameHeaderSize + length
  if (length === 0 || headerSize > MAX_HEADER_SIZE || headerSize > bytes.length) {
    throw damaged(object, 'it does not begin with the header of a WAL object')
  }
  const json = parseObject(Buffer.from(bytes.subarray(frameHeaderSize, headerSize)).toString('utf8'), object)
  const { formatVersion, name, size, storedSize, sha256, systemIdentifier, postgresMajor } = json
  if (typeof formatVersion === 'number' && formatVersion > FORMAT_VERSION) throw newerFormat(object, formatVersion)
  const valid =
    formatVersion === FORMAT_VERSION &&
    typeof name === 'string' &&
    parseWalFileName(name) !== undefined &&
    isSize(size) &&
    isSize(storedSize) &&
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256) &&
    typeof systemIdentifier === 'string' &&
    isSystemIdentifier(systemIdentifier) &&
    (postgresMajor === null || isSize(postgresMajor))
  if (!valid) throw damaged(object, 'its header has a missing or impossible field')
  const header = { name, size, storedSize, sha256, systemIdentifier, postgresMajor } as WalObjectHeader
  return { header, headerSize }
}

/**
 * The header of a stored object, checked against the object's length; undefined if the archive has no such object.
 * @throws SeawallError `corrupt` also for an object that was cut or has grown.
 */
export async function readWalHeader(
  storage: ReadableStorage,
  key: string,
  options?: CallOptions,
): Promise<WalObjectHeader | undefined> {
  const object = await storage.get(key, { start: 0, end: MAX_HEADER_SIZE }, options)
  if (!object) return undefined
  const chunks: Uint8Array[] = []
  for await (const chunk of object.body) chunks.push(chunk)
  const { header, headerSize } = parseWalHeader(Buffer.concat(chunks), key)
  checkLength(key, object.size, headerSize, header)
  return header
}

/** A WAL object being read: what its header says, and its plain bytes. */
export interface WalObject {
  readonly header: WalObjectHeader
  /**
   * The plain bytes, once. Size and SHA-256 are those of the header when the iteration ends without an error, and only
   * then: nothing read before may be used for good.
   */
  readonly content: AsyncIterable<Uint8Array>
}

/**
 * Opens an object whole; undefined if the archive has none of that key.
 * @param expected what the object must be, by the place where it lies; a different one is `corrupt`.
 */
export async function openWal(
  storage: ReadableStorage,
  codec: Codec,
  key: string,
  expected: { readonly name: string; readonly systemIdentifier: string },
  options?: CallOptions,
): Promise<WalObject | undefined> {
  const object = await storage.get(key, undefined, options)
  if (!object) return undefined
  const body = object.body[Symbol.asyncIterator]()
  let head: Buffer = Buffer.alloc(0)
  try {
    while (head.length < Math.min(MAX_HEADER_SIZE, object.size)) {
      const { value, done } = await body.next()
      if (done) break
      head =
        head.length === 0 ? Buffer.from(value.buffer, value.byteOffset, value.length) : Buffer.concat([head, value])
    }
    const { header, headerSize } = parseWalHeader(head, key)
    checkLength(key, object.size, headerSize, header)
    if (header.name !== expected.name || header.systemIdentifier !== expected.systemIdentifier) {
      throw damaged(
        key,
        `its header says ${header.name} of system identifier ${header.systemIdentifier}, which belongs elsewhere`,
      )
    }
    return { header, content: plainBytes(codec, key, header, head.subarray(headerSize), body) }
  } catch (error) {
    await body.return?.()
    throw error
  }
}

async function* plainBytes(
  codec: Codec,
  key: string,
  header: WalObjectHeader,
  first: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let size = 0
  let storedSize = 0
  async function* stored(): AsyncGenerator<Uint8Array> {
    try {
      storedSize += first.length
      yield first
      for (let next = await rest.next(); !next.done; next = await rest.next()) {
        storedSize += next.value.length
        yield next.value
      }
    } finally {
      await rest.return?.()
    }
  }
  for await (const plain of codec.decode(stored(), { object: key, maxSize: header.size })) {
    hash.update(plain)
    size += plain.length
    yield plain
  }
  if (storedSize !== header.storedSize) {
    throw damaged(key, `${storedSize} stored bytes came, and its header says ${header.storedSize}`)
  }
  if (size !== header.size) throw damaged(key, `it holds ${size} bytes, and its header says ${header.size}`)
  if (hash.digest('hex') !== header.sha256) throw damaged(key, 'its content does not match the SHA-256 in its header')
}

function checkLength(key: string, size: number, headerSize: number, header: WalObjectHeader): void {
  if (size === headerSize + header.storedSize) return
  throw damaged(key, `it has ${size} bytes, and its header says ${headerSize + header.storedSize}`)
}

function damaged(object: string, reason: string): SeawallError {
  return new SeawallError('corrupt', {
    operation: 'read WAL object',
    object,
    reason,
    hint: 'The object is damaged: restore it from a copy of the archive. If the file is still in pg_wal of a server, move the damaged object away and archive the file again with wal-push.',
  })
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
