import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  isPossibleSegment,
  isSegmentSize,
  parseWalFileName,
  segmentName,
  segmentNumber,
  segmentNumberAt,
  segmentNumberBefore,
  segmentStart,
} from '../../src/core/wal-names.ts'

const segmentSizes = Array.from({ length: 11 }, (_, power) => 2 ** (20 + power))

describe('names of WAL files', () => {
  test.each([
    ['000000010000000A000000FF', 'segment'],
    ['000000010000000A000000FF.partial', 'partial'],
    ['000000010000000A000000FF.00000028.backup', 'backup'],
    ['0000000A.history', 'history'],
  ])('%s is a %s', (name, kind) => {
    expect(parseWalFileName(name)).toMatchObject({ kind, name })
  })

  test.each([
    '',
    '000000010000000A000000F',
    '000000010000000A000000FFF',
    '000000010000000a000000ff',
    '000000000000000A000000FF',
    '00000000.history',
    '000000010000000A000000FF.partial.gz',
    '000000010000000A000000FF.0000028.backup',
    ' 000000010000000A000000FF',
    '000000010000000A000000FF\n',
    '../000000010000000A000000FF',
    'RECOVERYXLOG',
    'archive_status',
  ])('%j is none', (name) => {
    expect(parseWalFileName(name)).toBeUndefined()
  })

  test('the timeline is hexadecimal', () => {
    expect(parseWalFileName('0000001F.history')).toMatchObject({ timeline: 31 })
    expect(parseWalFileName('0000001F000000000000000A')).toMatchObject({ timeline: 31 })
  })

  test('a name, its number and its address say the same, for every segment size', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...segmentSizes),
        fc.integer({ min: 1, max: 0xffff_ffff }),
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        (size, timeline, lsn) => {
          const number = segmentNumberAt(lsn, size)
          const name = segmentName(timeline, number, size)
          expect(isPossibleSegment(name, size)).toBe(true)
          expect(segmentNumber(name, size)).toBe(number)
          expect(parseWalFileName(name)).toMatchObject({ kind: 'segment', timeline })
          const start = segmentStart(number, size)
          expect(lsn - start).toBeGreaterThanOrEqual(0n)
          expect(lsn - start).toBeLessThan(BigInt(size))
        },
      ),
    )
  })

  test('names ascend with their numbers within a timeline', () => {
    fc.assert(
      fc.property(fc.constantFrom(...segmentSizes), fc.bigInt({ min: 0n, max: 1n << 32n }), (size, number) => {
        const [name, next] = [segmentName(1, number, size), segmentName(1, number + 1n, size)]
        expect(name < next).toBe(true)
      }),
    )
  })

  test('WAL that ends at a segment boundary does not need the segment that begins there', () => {
    const size = 16 * 1024 * 1024
    expect(segmentNumberBefore(BigInt(2 * size), size)).toBe(1n)
    expect(segmentNumberBefore(BigInt(2 * size) + 1n, size)).toBe(2n)
  })

  test('a name whose low part is too large for the segment size is not possible', () => {
    expect(isPossibleSegment('0000000100000000000000FF', 16 * 1024 * 1024)).toBe(true)
    expect(isPossibleSegment('000000010000000000000100', 16 * 1024 * 1024)).toBe(false)
    expect(isPossibleSegment('000000010000000000000100', 1024 * 1024)).toBe(true)
  })

  test('segment sizes are powers of two from 1 MiB to 1 GiB', () => {
    expect(segmentSizes.every(isSegmentSize)).toBe(true)
    for (const size of [0, 1, 512 * 1024, 3 * 1024 * 1024, 2 ** 31, 2 ** 20 + 0.5, Number.NaN]) {
      expect(isSegmentSize(size)).toBe(false)
    }
  })
})
