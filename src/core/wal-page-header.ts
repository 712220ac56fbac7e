/** The long page header at the beginning of every WAL segment (XLogLongPageHeaderData, access/xlog_internal.h). */
import type { Lsn } from './lsn.ts'

/** Bytes needed to read the header. */
export const WAL_PAGE_HEADER_SIZE = 40

const longHeaderFlag = 0x0002

/** xlp_magic by major version (XLOG_PAGE_MAGIC of each release branch). */
const majors: ReadonlyMap<number, number> = new Map([
  [0xd106, 13],
  [0xd10d, 14],
  [0xd110, 15],
  [0xd113, 16],
  [0xd116, 17],
  [0xd118, 18],
])

export interface WalPageHeader {
  /** xlp_magic. */
  readonly magic: number
  /** Major version that writes this magic; undefined for one that this program does not know. */
  readonly major: number | undefined
  readonly timeline: number
  /** Address of the page, hence of the segment's first byte. */
  readonly address: Lsn
  readonly systemIdentifier: bigint
  /** Bytes. */
  readonly segmentSize: number
}

/**
 * Reads the header; undefined if the bytes (at least 40) carry no long header, as when they are zeroes.
 * Little-endian, as on every platform that this program supports.
 */
export function parseWalPageHeader(bytes: Uint8Array): WalPageHeader | undefined {
  if (bytes.length < WAL_PAGE_HEADER_SIZE) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const magic = view.getUint16(0, true)
  if (magic === 0 || (view.getUint16(2, true) & longHeaderFlag) === 0) return undefined
  return {
    magic,
    major: majors.get(magic),
    timeline: view.getUint32(4, true),
    address: view.getBigUint64(8, true),
    systemIdentifier: view.getBigUint64(24, true),
    segmentSize: view.getUint32(32, true),
  }
}
