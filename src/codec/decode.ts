/** What the decoders have in common: the walk over the frames, and the limit of what may come out. */
import { reasonOf } from '../core/errors.ts'
import type { Codec, Decoder, DecoderOptions } from './codec.ts'
import { corrupt, type FrameLimits, FrameWalker } from './frames.ts'

/** An implementation of zstd at work on a sequence of frames. */
export interface Decompressor {
  /**
   * Takes the next piece of the frames; gives back the plain bytes that it completes, in buffers of their own, and with
   * the end of a frame all that are left of it.
   * Rejects with any error if the bytes are not what a compressor wrote.
   */
  write(piece: Uint8Array): Promise<Uint8Array[]>
  /** Releases everything, whether or not the input has ended. */
  close(): void
}

/** The decoding half of a codec, over one implementation of zstd. */
export function decoding(
  createDecompressor: () => Decompressor,
  limits: FrameLimits,
): Pick<Codec, 'decoder' | 'decode'> {
  return {
    decoder(options) {
      const decoding = new Decoding(createDecompressor(), limits, options)
      return {
        async push(stored) {
          const chunks: Uint8Array[] = []
          for await (const chunk of decoding.plain(stored)) chunks.push(chunk)
          return chunks
        },
        async finish() {
          decoding.finish()
          return []
        },
        close: () => decoding.close(),
      } satisfies Decoder
    },
    async *decode(stored, options) {
      const decoding = new Decoding(createDecompressor(), limits, options)
      try {
        for await (const chunk of stored) yield* decoding.plain(chunk)
        decoding.finish()
      } finally {
        decoding.close()
      }
    },
  }
}

class Decoding {
  readonly #decompressor: Decompressor
  readonly #options: DecoderOptions
  readonly #walker: FrameWalker
  #size = 0

  constructor(decompressor: Decompressor, limits: FrameLimits, options: DecoderOptions) {
    this.#decompressor = decompressor
    this.#options = options
    this.#walker = new FrameWalker(options.object, limits)
  }

  /** The plain bytes that `stored` completes, a bounded piece at a time. */
  async *plain(stored: Uint8Array): AsyncGenerator<Uint8Array> {
    for (const piece of this.#walker.walk(stored)) {
      for (const chunk of await this.#decompress(piece)) {
        this.#size += chunk.length
        if (this.#size > this.#options.maxSize) {
          throw corrupt(this.#options.object, `it holds more than the ${this.#options.maxSize} bytes that it should`)
        }
        yield chunk
      }
    }
  }

  finish(): void {
    this.#walker.finish()
    this.close()
  }

  close(): void {
    this.#decompressor.close()
  }

  async #decompress(piece: Uint8Array): Promise<Uint8Array[]> {
    try {
      return await this.#decompressor.write(piece)
    } catch (error) {
      throw corrupt(this.#options.object, `zstd cannot decompress it (${reasonOf(error)})`, error)
    }
  }
}
