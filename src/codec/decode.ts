/** What the decoders have in common: the walk over the frames, and the limit of what may come out. */
import { reasonOf } from '../core/errors.ts'
import type { Codec } from './codec.ts'
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
export function decoding(createDecompressor: () => Decompressor, limits: FrameLimits): Codec['decode'] {
  return async function* decode(stored, { object, maxSize }) {
    const decompressor = createDecompressor()
    const walker = new FrameWalker(object, limits)
    let size = 0
    try {
      for await (const bytes of stored) {
        for (const piece of walker.walk(bytes)) {
          for (const plain of await decompress(decompressor, piece, object)) {
            size += plain.length
            if (size > maxSize) throw corrupt(object, `it holds more than the ${maxSize} bytes that it should`)
            yield plain
          }
        }
      }
      walker.finish()
    } finally {
      decompressor.close()
    }
  }
}

async function decompress(decompressor: Decompressor, piece: Uint8Array, object: string): Promise<Uint8Array[]> {
  try {
    return await decompressor.write(piece)
  } catch (error) {
    throw corrupt(object, `zstd cannot decompress it (${reasonOf(error)})`, error)
  }
}
