import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FrameWalker, MAX_BLOCK_SIZE, MAX_WINDOW_SIZE } from '../../src/codec/frames.ts'
import { nativeCodec } from '../../src/codec/native.ts'
import { noise, skippable, text } from '../contract/samples.ts'

const magic = [0x28, 0xb5, 0x2f, 0xfd]
const limits = { maxPieceOutput: 1 << 20, maxWindowSize: MAX_WINDOW_SIZE }

function walk(
  stored: Uint8Array,
  { chunk = stored.length, ...given } = { ...limits, chunk: stored.length },
): Uint8Array[] {
  const walker = new FrameWalker('the/key', given)
  const pieces: Uint8Array[] = []
  for (let start = 0; start < stored.length; start += chunk) {
    for (const piece of walker.walk(stored.subarray(start, start + chunk))) {
      pieces.push(Uint8Array.from(piece))
    }
  }
  walker.finish()
  return pieces
}

const bytesOf = (pieces: readonly Uint8Array[]) => Buffer.concat(pieces)

/** A block header: last or not, type (0 raw, 1 RLE, 2 compressed, 3 reserved), size. */
function block(isLast: boolean, type: number, size: number): number[] {
  const header = (size << 3) | (type << 1) | (isLast ? 1 : 0)
  return [header & 0xff, (header >> 8) & 0xff, header >> 16]
}

const lastEmptyBlock = block(true, 0, 0)

describe('a frame header', () => {
  const valid: Record<string, number[]> = {
    'window of 1 KiB': [0b0000_0000, 0],
    'window of 128 MiB': [0b0000_0000, 17 << 3],
    'content size in 1 byte': [0b0010_0000, 0],
    'content size in 2 bytes': [0b0110_0000, 0, 0],
    'content size in 4 bytes': [0b1010_0000, 0, 0, 0, 0],
    'content size in 8 bytes': [0b1110_0000, 0, 0, 0, 0, 0, 0, 0, 0],
    'window and content size': [0b1100_0000, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    'dictionary 0 in 4 bytes, with everything': [0b1100_0011, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    'the unused bit': [0b0001_0000, 0],
  }
  for (const [name, header] of Object.entries(valid)) {
    test(`with ${name} is as long as it says`, () => {
      const frame = Buffer.from([...magic, ...header, ...lastEmptyBlock])
      expect(bytesOf(walk(frame)).equals(frame)).toBe(true)
      expect(walk(frame)[0]).toEqual(Uint8Array.from([...magic, ...header]))
    })
  }

  const wrong: Record<string, [number[], RegExp]> = {
    'the reserved bit': [[0b0000_1000, 0], /at byte 4, a frame header has the reserved bit set/],
    'a window over 128 MiB': [
      [0b0000_0000, (17 << 3) | 1],
      /at byte 0, a frame whose window of 150994944 bytes is over/,
    ],
    'a single segment over 128 MiB': [[0b1010_0000, 1, 0, 0, 8], /window of 134217729 bytes is over/],
    'a dictionary in 1 byte': [[0b0000_0001, 0, 1], /at byte 0, a frame that needs a dictionary begins/],
    'a dictionary in 2 bytes': [[0b0000_0010, 0, 0, 1], /dictionary/],
    'a dictionary in 4 bytes': [[0b0000_0011, 0, 0, 0, 0, 1], /dictionary/],
  }
  for (const [name, [header, reason]] of Object.entries(wrong)) {
    test(`with ${name} is refused`, () => {
      const frame = Buffer.from([...magic, ...header, ...lastEmptyBlock])
      for (const chunk of [1, frame.length]) expect(() => walk(frame, { ...limits, chunk })).toThrow(reason)
    })
  }

  test('with a window larger than the decompressor has memory for is refused, but is no damage', () => {
    const frame = Buffer.from([...magic, 0, 10 << 3, ...lastEmptyBlock])
    const given = { ...limits, maxWindowSize: 1 << 19, chunk: 100 }
    expect(() => walk(frame, given)).toThrow(expect.objectContaining({ code: 'refused' }))
    expect(walk(frame, { ...given, maxWindowSize: 1 << 20 })).toHaveLength(2)
  })
})

describe('a block', () => {
  test('of the reserved type is refused', () => {
    const frame = Buffer.from([...magic, 0, 0, ...block(false, 0, 2), 1, 2, ...block(true, 3, 0)])
    expect(() => walk(frame)).toThrow(/at byte 11, a block of the reserved type/)
  })

  test('may have 128 KiB, or the window if that is less', () => {
    for (const [window, size] of [
      [7 << 3, MAX_BLOCK_SIZE],
      [17 << 3, MAX_BLOCK_SIZE],
      [0, 1024],
    ] as const) {
      for (const type of [0, 1, 2]) {
        const frame = (size: number) =>
          Buffer.concat([
            Buffer.from([...magic, 0, window, ...block(true, type, size)]),
            Buffer.alloc(type === 1 ? 1 : size),
          ])
        expect(bytesOf(walk(frame(size))).equals(frame(size))).toBe(true)
        expect(() => walk(frame(size + 1))).toThrow(`at byte 6, a block of ${size + 1} bytes is over the limit`)
      }
    }
  })

  test('that is the last one with a checksum has four bytes more', () => {
    const frame = Buffer.from([...magic, 0b0000_0100, 0, ...lastEmptyBlock, 1, 2, 3, 4])
    expect(bytesOf(walk(frame)).equals(frame)).toBe(true)
    for (let length = 9; length < frame.length; length += 1) {
      expect(() => walk(frame.subarray(0, length))).toThrow(/before the checksum/)
    }
  })
})

test('the pieces are the zstd frames without the skippable ones, in any chunks', () => {
  const frames = [
    nativeCodec.compress(text(500_000), 1),
    nativeCodec.compress(noise(300_000), 1),
    nativeCodec.compress(Buffer.alloc(3_000_000), 1),
    nativeCodec.compress(noise(5), 'none'),
    nativeCodec.compress(Buffer.alloc(0), 1),
  ]
  const stored = Buffer.concat(frames.flatMap((frame, index) => [skippable(noise(index * 10)), frame]))
  const expected = Buffer.concat(frames)
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 400_000 }), fc.integer({ min: 1, max: 1 << 21 }), (chunk, maxPieceOutput) => {
      const pieces = walk(stored, { ...limits, maxPieceOutput, chunk })
      expect(bytesOf(pieces).equals(expected)).toBe(true)
    }),
    { numRuns: 100 },
  )
  let position = 0
  const ends = blockEnds(expected)
  for (const piece of walk(stored, { ...limits, maxPieceOutput: 1, chunk: stored.length })) {
    position += piece.length
    expect(ends.has(position)).toBe(true)
    ends.delete(position)
  }
  // The block without content, before the last checksum, ends no piece.
  expect([...ends]).toEqual([expected.length - 4])
})

/** Where headers, blocks and checksums of frames end, by a reading of the format that is as simple as can be. */
function blockEnds(frames: Buffer): Set<number> {
  const ends = new Set<number>()
  let position = 0
  while (position < frames.length) {
    const descriptor = frames[position + 4]!
    const isSingleSegment = (descriptor & 0b10_0000) !== 0
    position += 5 + (isSingleSegment ? 0 : 1) + ([isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0)
    ends.add(position)
    for (let isLast = false; !isLast; ) {
      const header = frames.readUIntLE(position, 3)
      isLast = (header & 1) === 1
      position += 3 + (((header >> 1) & 3) === 1 ? 1 : header >> 3)
      ends.add(position)
    }
    if ((descriptor & 0b100) !== 0) {
      position += 4
      ends.add(position)
    }
  }
  return ends
}
