/**
 * Walks a sequence of zstd frames and skippable frames (RFC 8878, 3.1) and checks its structure to the very end, because
 * the decompressors behind it take a cut or trailing garbage for a regular end.
 */
import { SeawallError } from '../core/errors.ts'

/** Little-endian, as the first four bytes of a frame. */
export const ZSTD_MAGIC = 0xfd2fb528
/** The lowest of the 16 magic numbers of skippable frames. */
const skippableMagic = 0x184d2a50

/** Most plain bytes in one block. */
export const MAX_BLOCK_SIZE = 128 * 1024
/** What a frame may ask a decoder to hold: the limit of the stock `zstd -d`. */
export const MAX_WINDOW_SIZE = 128 * 1024 * 1024

/** Sizes of the content size field by its flag; flag 0 has one byte in a single-segment frame. */
const contentSizeBytes = [0, 2, 4, 8] as const
const dictionaryIdBytes = [0, 1, 2, 4] as const
const magicBytes = 4
const blockHeaderBytes = 3
const checksumBytes = 4

const blockTypes = ['raw', 'rle', 'compressed', 'reserved'] as const

export interface FrameLimits {
  /**
   * Plain bytes: a piece ends with the block that makes it hold this many or more, so that no piece holds more than this
   * and one block.
   */
  readonly maxPieceOutput: number
  /** The largest window that the decompressor has memory for. */
  readonly maxWindowSize: number
}

type State = 'magic' | 'skippable size' | 'skippable content' | 'descriptor' | 'frame header' | BlockState
type BlockState = 'block header' | 'block' | 'checksum'

/** What the reason for a cut calls the place where the input ended. */
const places: { readonly [Name in State]: string } = {
  magic: 'inside the magic number of a frame',
  'skippable size': 'inside the header of a skippable frame',
  'skippable content': 'inside a skippable frame',
  descriptor: 'inside a frame header',
  'frame header': 'inside a frame header',
  'block header': 'between the blocks of a frame',
  block: 'inside a block',
  checksum: 'before the checksum of a frame',
}

export class FrameWalker {
  readonly #object: string
  readonly #limits: FrameLimits
  #state: State = 'magic'
  /** Bytes of the field being collected: at most a whole frame header. */
  readonly #field = new Uint8Array(18)
  #fieldLength = 0
  /** Bytes that the field has when it is complete. */
  #fieldNeeded = magicBytes
  /** Bytes of a block or of a skippable frame's content that are still to come. */
  #remaining = 0
  /** Bytes seen. */
  #offset = 0
  #frames = 0
  #hasChecksum = false
  #maxBlockSize = 0
  #isLastBlock = false
  /** Most plain bytes that the current block can hold. */
  #blockOutput = 0

  /** @param object names the input in errors. */
  constructor(object: string, limits: FrameLimits) {
    this.#object = object
    this.#limits = limits
  }

  /**
   * Takes the next bytes of the input; gives back those that belong to zstd frames, in order and without gaps, in pieces
   * none of which goes beyond the end of a frame.
   * @throws SeawallError `corrupt` at the first byte that cannot be, `refused` at a frame with too large a window
   */
  *walk(stored: Uint8Array): Generator<Uint8Array> {
    let position = 0
    /** Where the piece being collected begins. */
    let start = 0
    let output = 0
    while (position < stored.length) {
      if (this.#remaining > 0) {
        const taken = Math.min(this.#remaining, stored.length - position)
        this.#remaining -= taken
        this.#offset += taken
        position += taken
        if (this.#remaining > 0) break
      } else {
        this.#field[this.#fieldLength] = stored[position]!
        this.#fieldLength += 1
        this.#offset += 1
        position += 1
        if (this.#fieldLength < this.#fieldNeeded) continue
      }
      const ended = this.#state
      const frames = this.#frames
      this.#advance()
      if (ended === 'frame header' && this.#state === 'block header') {
        yield this.#field.slice(0, this.#fieldLength)
        this.#collect(blockHeaderBytes)
        start = position
      } else if (ended === 'block' || ended === 'checksum' || (ended === 'block header' && this.#remaining === 0)) {
        if (ended !== 'checksum') output += this.#blockOutput
        if (output >= this.#limits.maxPieceOutput || this.#frames > frames) {
          yield stored.subarray(start, position)
          start = position
          output = 0
        }
      }
    }
    if (this.#insideBlocks && start < stored.length) yield stored.subarray(start)
  }

  /** @throws SeawallError `corrupt` unless the input ended right after a frame, and had a zstd frame at all */
  finish(): void {
    if (this.#state !== 'magic' || this.#fieldLength > 0) {
      throw corrupt(this.#object, `it ends after ${this.#offset} bytes, ${places[this.#state]}`)
    }
    if (this.#frames === 0) throw corrupt(this.#object, `it ends after ${this.#offset} bytes, before any zstd frame`)
  }

  get #insideBlocks(): boolean {
    return this.#state === 'block header' || this.#state === 'block' || this.#state === 'checksum'
  }

  /** Goes on to the next state: the field is complete, or the last of the remaining bytes has been seen. */
  #advance(): void {
    switch (this.#state) {
      case 'magic':
        this.#endMagic()
        break
      case 'skippable size':
        this.#remaining = this.#littleEndian(0, 4)
        this.#state = 'skippable content'
        if (this.#remaining === 0) this.#expectFrame()
        break
      case 'skippable content':
        this.#expectFrame()
        break
      case 'descriptor':
        this.#fieldNeeded = this.#frameHeaderSize()
        this.#state = 'frame header'
        break
      case 'frame header':
        this.#endFrameHeader()
        break
      case 'block header':
        this.#endBlockHeader()
        break
      case 'block':
        this.#endBlock()
        break
      case 'checksum':
        this.#endFrame()
        break
    }
  }

  #endMagic(): void {
    const magic = this.#littleEndian(0, 4)
    if (magic === ZSTD_MAGIC) {
      this.#state = 'descriptor'
      this.#fieldNeeded = magicBytes + 1
    } else if ((magic & ~0xf) >>> 0 === skippableMagic) {
      this.#state = 'skippable size'
      this.#collect(4)
    } else {
      throw this.#wrong(magicBytes, 'something that is no zstd frame begins')
    }
  }

  /** The descriptor tells how long the whole header is; a header has at least one byte more than the descriptor. */
  #frameHeaderSize(): number {
    const descriptor = this.#field[magicBytes]!
    if ((descriptor & 0b1000) !== 0) throw this.#wrong(1, 'a frame header has the reserved bit set')
    const isSingleSegment = (descriptor & 0b10_0000) !== 0
    const contentSize = contentSizeBytes[(descriptor >> 6) as 0 | 1 | 2 | 3] || (isSingleSegment ? 1 : 0)
    const dictionaryId = dictionaryIdBytes[(descriptor & 0b11) as 0 | 1 | 2 | 3]
    return magicBytes + 1 + (isSingleSegment ? 0 : 1) + dictionaryId + contentSize
  }

  #endFrameHeader(): void {
    const descriptor = this.#field[magicBytes]!
    const isSingleSegment = (descriptor & 0b10_0000) !== 0
    const dictionaryBytes = dictionaryIdBytes[(descriptor & 0b11) as 0 | 1 | 2 | 3]
    const dictionaryOffset = magicBytes + 1 + (isSingleSegment ? 0 : 1)
    if (this.#littleEndian(dictionaryOffset, dictionaryBytes) !== 0) {
      throw this.#wrong(this.#fieldLength, 'a frame that needs a dictionary begins')
    }
    const contentOffset = dictionaryOffset + dictionaryBytes
    const windowSize = isSingleSegment
      ? this.#littleEndian(contentOffset, this.#fieldLength - contentOffset) +
        (this.#fieldLength - contentOffset === 2 ? 256 : 0)
      : windowSizeOf(this.#field[magicBytes + 1]!)
    if (windowSize > MAX_WINDOW_SIZE) {
      throw this.#wrong(this.#fieldLength, `a frame whose window of ${windowSize} bytes is over the limit begins`)
    }
    if (windowSize > this.#limits.maxWindowSize) throw windowTooLarge(this.#object, windowSize)
    this.#maxBlockSize = Math.min(windowSize, MAX_BLOCK_SIZE)
    this.#hasChecksum = (descriptor & 0b100) !== 0
    this.#state = 'block header'
  }

  #endBlockHeader(): void {
    const header = this.#littleEndian(0, blockHeaderBytes)
    const type = blockTypes[((header >> 1) & 0b11) as 0 | 1 | 2 | 3]
    const size = header >> 3
    if (type === 'reserved') throw this.#wrong(blockHeaderBytes, 'a block of the reserved type begins')
    if (size > this.#maxBlockSize) throw this.#wrong(blockHeaderBytes, `a block of ${size} bytes is over the limit`)
    this.#isLastBlock = (header & 1) !== 0
    this.#blockOutput = type === 'compressed' ? this.#maxBlockSize : size
    this.#remaining = type === 'rle' ? 1 : size
    this.#state = 'block'
    if (this.#remaining === 0) this.#endBlock()
  }

  #endBlock(): void {
    if (!this.#isLastBlock) {
      this.#state = 'block header'
      this.#collect(blockHeaderBytes)
    } else if (this.#hasChecksum) {
      this.#state = 'checksum'
      this.#collect(checksumBytes)
    } else {
      this.#endFrame()
    }
  }

  #endFrame(): void {
    this.#frames += 1
    this.#expectFrame()
  }

  #expectFrame(): void {
    this.#state = 'magic'
    this.#collect(magicBytes)
  }

  #collect(bytes: number): void {
    this.#fieldLength = 0
    this.#fieldNeeded = bytes
  }

  /** An unsigned number of the collected field; loses precision beyond 2^53, which is far over every limit. */
  #littleEndian(offset: number, bytes: number): number {
    let value = 0
    for (let index = bytes - 1; index >= 0; index -= 1) value = value * 256 + this.#field[offset + index]!
    return value
  }

  #wrong(length: number, what: string): SeawallError {
    return corrupt(this.#object, `at byte ${this.#offset - length}, ${what}`)
  }
}

/** The window descriptor: five bits of exponent, three of mantissa. */
function windowSizeOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3))
  return base + (base / 8) * (descriptor & 0b111)
}

/** Stored bytes are not what was written. */
export function corrupt(object: string, reason: string, cause?: unknown): SeawallError {
  return new SeawallError('corrupt', {
    operation: 'decompress',
    object,
    reason,
    hint: 'The object is damaged: restore it from a copy of the archive, or from the server that it came from.',
    ...(cause === undefined ? {} : { cause }),
  })
}

function windowTooLarge(object: string, windowSize: number): SeawallError {
  return new SeawallError('refused', {
    operation: 'decompress',
    object,
    reason: `a frame has a window of ${windowSize} bytes, which the WebAssembly zstd has no memory for`,
    hint: 'Run this with Node.js 26 or later, which brings its own zstd.',
  })
}
