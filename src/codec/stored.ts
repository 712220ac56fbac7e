/** The level `none`: zstd frames of raw blocks. */
import type { Encoder } from './codec.ts'
import { MAX_BLOCK_SIZE, ZSTD_MAGIC } from './frames.ts'

const magicBytes = 4
const blockHeaderBytes = 3

/** Frame header descriptor: single segment, content size in four bytes, no checksum, no dictionary. */
const knownSize = 0b1010_0000
/** Frame header descriptor and window descriptor: no content size, a window of one block (2^(10 + 7) bytes). */
const unknownSize = [0b0000_0000, 7 << 3] as const

/** One complete frame that holds `plain` (less than 4 GiB). */
export function storedFrame(plain: Uint8Array): Uint8Array {
  const blocks = Math.max(1, Math.ceil(plain.length / MAX_BLOCK_SIZE))
  const frame = Buffer.allocUnsafe(magicBytes + 1 + 4 + blocks * blockHeaderBytes + plain.length)
  frame.writeUInt32LE(ZSTD_MAGIC, 0)
  frame.writeUInt8(knownSize, magicBytes)
  frame.writeUInt32LE(plain.length, magicBytes + 1)
  writeBlocks(frame, magicBytes + 1 + 4, plain, true)
  return frame
}

/** One frame of unknown length. */
export function storedEncoder(): Encoder {
  let begun = false
  const begin = (size: number): { bytes: Buffer; offset: number } => {
    const offset = begun ? 0 : magicBytes + unknownSize.length
    const bytes = Buffer.allocUnsafe(offset + size)
    if (!begun) {
      bytes.writeUInt32LE(ZSTD_MAGIC, 0)
      bytes.set(unknownSize, magicBytes)
    }
    begun = true
    return { bytes, offset }
  }
  return {
    async push(plain) {
      if (plain.length === 0) return []
      const blocks = Math.ceil(plain.length / MAX_BLOCK_SIZE)
      const { bytes, offset } = begin(blocks * blockHeaderBytes + plain.length)
      writeBlocks(bytes, offset, plain, false)
      return [bytes]
    },
    async finish() {
      const { bytes, offset } = begin(blockHeaderBytes)
      writeBlocks(bytes, offset, new Uint8Array(0), true)
      return [bytes]
    },
    close() {},
  }
}

/** Writes `plain` as raw blocks, at least one. */
function writeBlocks(target: Buffer, offset: number, plain: Uint8Array, isEnd: boolean): void {
  let position = 0
  let write = offset
  do {
    const size = Math.min(MAX_BLOCK_SIZE, plain.length - position)
    const isLast = isEnd && position + size === plain.length
    target.writeUIntLE((size << 3) | (isLast ? 1 : 0), write, blockHeaderBytes)
    target.set(plain.subarray(position, position + size), write + blockHeaderBytes)
    write += blockHeaderBytes + size
    position += size
  } while (position < plain.length)
}
