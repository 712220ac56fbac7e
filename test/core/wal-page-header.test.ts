import { expect, test } from 'vitest'
import { parseWalPageHeader } from '../../src/core/wal-page-header.ts'
import { walPageHeader } from '../support/wal-file.ts'

test('the long header of a segment is read', () => {
  const bytes = walPageHeader({ systemIdentifier: 7312345678901234567n, address: 0x3000000n, timeline: 2 })
  expect(parseWalPageHeader(bytes)).toEqual({
    magic: 0xd118,
    major: 18,
    timeline: 2,
    address: 0x3000000n,
    systemIdentifier: 7312345678901234567n,
    segmentSize: 16 * 1024 * 1024,
  })
})

test('a magic of a version to come is read without a version', () => {
  const bytes = walPageHeader({ systemIdentifier: 1n, address: 0n, timeline: 1 })
  bytes.writeUInt16LE(0xd1ff, 0)
  expect(parseWalPageHeader(bytes)).toMatchObject({ magic: 0xd1ff, major: undefined })
})

test('zeroes, a short header and a page that begins no segment are none', () => {
  const bytes = walPageHeader({ systemIdentifier: 1n, address: 0n, timeline: 1 })
  expect(parseWalPageHeader(Buffer.alloc(40))).toBeUndefined()
  expect(parseWalPageHeader(bytes.subarray(0, 39))).toBeUndefined()
  bytes.writeUInt16LE(0, 2)
  expect(parseWalPageHeader(bytes)).toBeUndefined()
})
