/** The codec on the zstd of Node's own zlib, from Node 26 on (older ones stop silently after the first frame). */
import type { Transform } from 'node:stream'
import { constants, createZstdCompress, createZstdDecompress, zstdCompressSync } from 'node:zlib'
import type { Codec, Level } from './codec.ts'
import { type Decompressor, decoding } from './decode.ts'
import { MAX_WINDOW_SIZE } from './frames.ts'
import { checkLevel } from './level.ts'
import { storedEncoder, storedFrame } from './stored.ts'

/** Levels from 20 on want more memory than the default limits of decoders allow. */
const maxLevel = 19
/** Plain bytes that one call of the decompressor may complete. */
const maxPieceOutput = 4 * 1024 * 1024
/** Bytes of the buffers that plain or compressed bytes are handed out in. */
const chunkSize = 256 * 1024

export const nativeCodec: Codec = {
  name: 'native',
  maxLevel,
  compress(plain, level) {
    checkLevel(level, maxLevel)
    if (level === 'none') return storedFrame(plain)
    return zstdCompressSync(plain, { params: parameters(level), chunkSize })
  },
  encoder(level) {
    checkLevel(level, maxLevel)
    if (level === 'none') return storedEncoder()
    const stream = new SerialTransform(createZstdCompress({ params: parameters(level), chunkSize }))
    return {
      push: (plain) => stream.write(plain),
      finish: () => stream.end(),
      close: () => stream.close(),
    }
  },
  decode: decoding(createDecompressor, { maxPieceOutput, maxWindowSize: MAX_WINDOW_SIZE }),
}

function parameters(level: Exclude<Level, 'none'>): Record<number, number> {
  return { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 }
}

function createDecompressor(): Decompressor {
  const stream = new SerialTransform(createZstdDecompress({ chunkSize }))
  return {
    write: (piece) => stream.write(piece),
    close: () => stream.close(),
  }
}

/** A transform stream, one write at a time: each gives back all that it made come out. */
class SerialTransform {
  readonly #stream: Transform
  #chunks: Uint8Array[] = []
  /** Why the stream can not be used any more. */
  #failure: Error | undefined
  /** Rejects the call under way, if there is one. */
  #reject: ((error: Error) => void) | undefined

  constructor(stream: Transform) {
    this.#stream = stream
    stream.on('data', (chunk: Uint8Array) => this.#chunks.push(chunk))
    stream.on('error', (error) => this.#fail(error))
  }

  /** Fulfilled when `bytes` are consumed and may be reused. */
  write(bytes: Uint8Array): Promise<Uint8Array[]> {
    return this.#run((done) => this.#stream.write(bytes, (error) => (error ? this.#fail(error) : done())))
  }

  end(): Promise<Uint8Array[]> {
    return this.#run((done) => this.#stream.once('end', done).end())
  }

  close(): void {
    this.#fail(new Error('closed before it was done'))
    this.#stream.destroy()
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#reject?.(this.#failure)
  }

  async #run(start: (done: () => void) => void): Promise<Uint8Array[]> {
    if (this.#failure) throw this.#failure
    await new Promise<void>((resolve, reject) => {
      this.#reject = reject
      start(resolve)
    }).finally(() => {
      this.#reject = undefined
    })
    while (this.#stream.readableLength > 0) this.#stream.read()
    const chunks = this.#chunks
    this.#chunks = []
    return chunks
  }
}
