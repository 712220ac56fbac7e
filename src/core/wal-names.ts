/** The names of files in pg_wal, as PostgreSQL builds them (access/xlog_internal.h). */
import type { Lsn } from './lsn.ts'

export type WalFile =
  | {
      readonly kind: 'segment' | 'partial'
      readonly name: string
      readonly timeline: number
      /** The 24 hex digits. */
      readonly segment: string
    }
  | {
      readonly kind: 'backup'
      readonly name: string
      readonly timeline: number
      readonly segment: string
    }
  | { readonly kind: 'history'; readonly name: string; readonly timeline: number }

const pattern = /^([0-9A-F]{8})(?:(\.history)|([0-9A-F]{16})(?:(\.partial)|(\.[0-9A-F]{8}\.backup))?)$/

/** Bytes; far more than a history file of thousands of failovers, or a backup history file, needs. */
export const MAX_TEXT_SIZE = 4 * 1024 * 1024

const xlogFileSize = 0x1_0000_0000n

/** What a name of pg_wal says; undefined if it is none of the names that PostgreSQL archives. Upper-case hex only. */
export function parseWalFileName(name: string): WalFile | undefined {
  const match = pattern.exec(name)
  if (!match) return undefined
  const timeline = Number.parseInt(match[1]!, 16)
  if (timeline === 0) return undefined
  if (match[2]) return { kind: 'history', name, timeline }
  const segment = name.slice(0, 24)
  if (match[5]) return { kind: 'backup', name, timeline, segment }
  return { kind: match[4] ? 'partial' : 'segment', name, timeline, segment }
}

/** The timeline that the first eight digits of a segment's name say. */
export function timelineOfSegment(segment: string): number {
  return Number.parseInt(segment.slice(0, 8), 16)
}

/** Number of a segment since the beginning of WAL, timeline left aside. `segmentSize` in bytes. */
export function segmentNumber(segment: string, segmentSize: number): bigint {
  const perFile = xlogFileSize / BigInt(segmentSize)
  return BigInt(`0x${segment.slice(8, 16)}`) * perFile + BigInt(`0x${segment.slice(16, 24)}`)
}

/** Whether the last eight digits are possible with this segment size. */
export function isPossibleSegment(segment: string, segmentSize: number): boolean {
  return BigInt(`0x${segment.slice(16, 24)}`) < xlogFileSize / BigInt(segmentSize)
}

export function segmentName(timeline: number, number: bigint, segmentSize: number): string {
  const perFile = xlogFileSize / BigInt(segmentSize)
  return hex8(BigInt(timeline)) + hex8(number / perFile) + hex8(number % perFile)
}

/** Number of the segment that holds the byte at `lsn`. */
export function segmentNumberAt(lsn: Lsn, segmentSize: number): bigint {
  return lsn / BigInt(segmentSize)
}

/** Number of the last segment needed to have all WAL before `end` (a position right after a record). */
export function segmentNumberBefore(end: Lsn, segmentSize: number): bigint {
  return (end - 1n) / BigInt(segmentSize)
}

/** Address of the first byte of a segment. */
export function segmentStart(number: bigint, segmentSize: number): Lsn {
  return number * BigInt(segmentSize)
}

/** `00000002.history` for timeline 2. */
export function historyName(timeline: number): string {
  return `${hex8(BigInt(timeline))}.history`
}

/** The eight upper-case hex digits of a timeline in file names. */
export function timelineDigits(timeline: number): string {
  return hex8(BigInt(timeline))
}

/** A power of two from 1 MiB to 1 GiB: what `initdb --wal-segsize` accepts. */
export function isSegmentSize(bytes: number): boolean {
  return Number.isInteger(bytes) && bytes >= 1 << 20 && bytes <= 1 << 30 && (bytes & (bytes - 1)) === 0
}

function hex8(value: bigint): string {
  return value.toString(16).toUpperCase().padStart(8, '0')
}
