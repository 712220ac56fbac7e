/**
 * The codec on the WebAssembly zstd of `zstd-codec`, for runtimes whose own zstd cannot be trusted. It writes no content
 * checksum, so what reads its frames must compare a hash. It has 16 MiB of memory for everything at once: two encoders
 * at a high level do not fit, and after it ran out of memory the codec can not be used again.
 *
 * The package's own front is not used, because its streams can not be fed bit by bit.
 */
import { createRequire } from 'node:module'
import type { Codec, Encoder } from './codec.ts'
import { type Decompressor, decoding } from './decode.ts'
import { checkLevel } from './level.ts'
import { storedEncoder, storedFrame } from './stored.ts'

/** Higher ones run out of memory. */
const maxLevel = 9
/** Plain bytes that one piece of stored ones may hold. */
const maxPieceOutput = 1024 * 1024
/** The largest window that its memory has room for. */
const maxWindowSize = 8 * 1024 * 1024
/** Bytes copied into its memory at once. */
const maxChunkSize = 512 * 1024

type Callback = (bytes: Uint8Array) => void

/** False from a call means that zstd reported an error. What a callback gets is a copy. */
interface Stream {
  transform(chunk: Uint8Array, callback: Callback): boolean
  end(callback: Callback): boolean
  delete(): void
}

interface Binding {
  readonly ZstdCompressStreamBinding: new () => Stream & { begin(level: number): boolean }
  readonly ZstdDecompressStreamBinding: new () => Stream & { begin(): boolean }
}

export async function openWasmCodec(): Promise<Codec> {
  const binding = await loadBinding()
  return {
    name: 'wasm',
    maxLevel,
    compress(plain, level) {
      checkLevel(level, maxLevel)
      return level === 'none' ? storedFrame(plain) : compressFrame(binding, plain, level)
    },
    encoder(level) {
      checkLevel(level, maxLevel)
      return level === 'none' ? storedEncoder() : createEncoder(binding, level)
    },
    decode: decoding(() => createDecompressor(binding), { maxPieceOutput, maxWindowSize }),
  }
}

/** Loaded from the package and not from a bundle, because it looks for its own directory. */
function loadBinding(): Promise<Binding> {
  const load = createRequire(import.meta.url)('zstd-codec/lib/zstd-codec-binding-wasm.js')
  return new Promise((resolve, reject) => {
    const binding: Record<string, unknown> = {
      onRuntimeInitialized: () => {
        // It has a `then` of its own, for which the promise would wait for ever.
        Reflect.deleteProperty(binding, 'then')
        resolve(binding as unknown as Binding)
      },
      onAbort: (reason: unknown) => reject(new Error(`zstd-codec gave up: ${reason}`)),
    }
    load(binding)
  })
}

function compressFrame(binding: Binding, plain: Uint8Array, level: number): Uint8Array {
  const stream = openStream(new binding.ZstdCompressStreamBinding(), (stream) => stream.begin(level))
  try {
    const frame = Buffer.concat([...stream.transform(plain), ...stream.end()])
    return withContentSize(frame, plain.length)
  } finally {
    stream.close()
  }
}

/** Puts the content size (four bytes) into a frame whose header has none: magic number, descriptor, window, blocks. */
function withContentSize(frame: Buffer, size: number): Buffer {
  const header = Buffer.from([...frame.subarray(0, 6), 0, 0, 0, 0])
  if (header[4] !== 0) throw new Error(`zstd-codec wrote an unexpected frame header descriptor ${header[4]}`)
  header[4] = 0b1000_0000
  header.writeUInt32LE(size, 6)
  return Buffer.concat([header, frame.subarray(6)])
}

function createEncoder(binding: Binding, level: number): Encoder {
  const stream = openStream(new binding.ZstdCompressStreamBinding(), (stream) => stream.begin(level))
  return {
    push: async (plain) => stream.transform(plain),
    async finish() {
      const chunks = stream.end()
      stream.close()
      return chunks
    },
    close: stream.close,
  }
}

function createDecompressor(binding: Binding): Decompressor {
  const stream = openStream(new binding.ZstdDecompressStreamBinding(), (stream) => stream.begin())
  return {
    write: async (piece) => stream.transform(piece),
    close: stream.close,
  }
}

/** A stream that gives back what comes out, and is freed once. */
function openStream<Kind extends Stream>(stream: Kind, begin: (stream: Kind) => boolean) {
  let isOpen = true
  const close = (): void => {
    if (isOpen) stream.delete()
    isOpen = false
  }
  const run = (chunks: Uint8Array[], call: (callback: Callback) => boolean): void => {
    if (!isOpen) throw new Error('closed before it was done')
    const done = call((bytes) => {
      if (bytes.length > 0) chunks.push(bytes)
    })
    if (!done) throw new Error('zstd-codec reports an error')
  }
  if (!begin(stream)) {
    close()
    throw new Error('zstd-codec could not begin')
  }
  return {
    transform(bytes: Uint8Array): Uint8Array[] {
      const chunks: Uint8Array[] = []
      for (let start = 0; start < bytes.length; start += maxChunkSize) {
        // A plain Uint8Array, because the binding calls the constructor of what it gets, and that of Buffer differs.
        const size = Math.min(maxChunkSize, bytes.length - start)
        const chunk = new Uint8Array(bytes.buffer, bytes.byteOffset + start, size)
        run(chunks, (callback) => stream.transform(chunk, callback))
      }
      return chunks
    },
    end(): Uint8Array[] {
      const chunks: Uint8Array[] = []
      run(chunks, (callback) => stream.end(callback))
      return chunks
    },
    close,
  }
}
