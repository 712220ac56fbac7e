/** WAL segments made by hand: a right first page header, and content of a chosen kind. */
import { randomBytes } from 'node:crypto'
import { segmentName, segmentNumberAt } from '../../src/core/wal-names.ts'

export interface WalPage {
  readonly systemIdentifier: bigint
  readonly address: bigint
  readonly timeline: number
  /** Bytes. */
  readonly segmentSize?: number
}

/** XLogLongPageHeaderData of PostgreSQL 18. */
export function walPageHeader({ systemIdentifier, address, timeline, segmentSize = 1 << 24 }: WalPage): Buffer {
  const bytes = Buffer.alloc(40)
  bytes.writeUInt16LE(0xd118, 0)
  bytes.writeUInt16LE(0x0002, 2)
  bytes.writeUInt32LE(timeline, 4)
  bytes.writeBigUInt64LE(address, 8)
  bytes.writeBigUInt64LE(systemIdentifier, 24)
  bytes.writeUInt32LE(segmentSize, 32)
  bytes.writeUInt32LE(8192, 36)
  return bytes
}

/** A whole segment: the header, some bytes that do not compress, and zeroes. */
export function walSegment(page: WalPage, randomSize = 1000): Buffer {
  const bytes = Buffer.alloc(page.segmentSize ?? 1 << 24)
  walPageHeader(page).copy(bytes)
  randomBytes(randomSize).copy(bytes, 100)
  return bytes
}

/** The name that a segment with this first page has. */
export function walSegmentName({ address, timeline, segmentSize = 1 << 24 }: WalPage): string {
  return segmentName(timeline, segmentNumberAt(address, segmentSize), segmentSize)
}
