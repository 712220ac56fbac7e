/**
 * The codec contract: zstd frames in, zstd frames out, by the native or the WebAssembly implementation.
 *
 * What is written is plain zstd that the stock `zstd` tool reads. What is read may come from any writer: several frames
 * in a row, skippable frames anywhere, with or without content size and content checksum.
 *
 * Known decoders accept cut or trailing bytes without a word, so `decode` here walks the frames by itself to the very
 * end: input that is cut anywhere, or is followed by anything that is no frame, is an error (`SeawallError`, `corrupt`).
 */

/** `none` stores the bytes in uncompressed zstd blocks: still a zstd file, under the same name, at no cost. */
export type Level = number | 'none'

export interface Codec {
  readonly name: 'native' | 'wasm'
  /** Highest level this implementation can be trusted with; a higher one asked for is an error of the caller. */
  readonly maxLevel: number
  /** Exactly one complete frame that holds `plain` (at most 8 MiB). Pure: equal input and level give equal bytes. */
  compress(plain: Uint8Array, level: Level): Uint8Array
  /** Starts one frame of unknown length. */
  encoder(level: Level): Encoder
  /**
   * The plain bytes of a sequence of frames, in chunks that belong to the reader, and never more than a few MiB of them
   * in memory (a few KiB may hold a GiB). `stored` may reuse a chunk when the next one is asked for. Ending the iteration
   * early ends the one over `stored` too.
   */
  decode(stored: AsyncIterable<Uint8Array>, options: DecodeOptions): AsyncIterable<Uint8Array>
}

export interface Encoder {
  /** Takes plain bytes, which may be reused once the promise is fulfilled; gives back what is ready of the frame. */
  push(plain: Uint8Array): Promise<Uint8Array[]>
  /** Ends the frame; gives back the rest of it. The encoder can not be used again. */
  finish(): Promise<Uint8Array[]>
  /** Releases what an unfinished encoder holds. Harmless after `finish`. */
  close(): void
}

export interface DecodeOptions {
  /** For error messages: the key of the object being decoded. */
  readonly object: string
  /** Most plain bytes that may come out; one more is an error. Guards against decompression bombs. */
  readonly maxSize: number
}
