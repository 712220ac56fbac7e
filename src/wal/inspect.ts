/** Checks a WAL file before a byte of it is sent: it must be what its name says, and belong to this cluster. */
import type { FileHandle } from 'node:fs/promises'
import { SeawallError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { formatLsn } from '../core/lsn.ts'
import { parseHistory } from '../core/timelines.ts'
import {
  isPossibleSegment,
  isSegmentSize,
  MAX_TEXT_SIZE,
  segmentNumber,
  segmentStart,
  type WalFile,
} from '../core/wal-names.ts'
import { parseWalPageHeader, WAL_PAGE_HEADER_SIZE } from '../core/wal-page-header.ts'
import { readFailed } from './read-failed.ts'

export interface Inspected {
  /** Bytes of the file. */
  readonly size: number
  /** Bytes of a segment of this cluster; undefined if the file does not tell (history, backup). */
  readonly segmentSize: number | undefined
  /** Major version of PostgreSQL by the page magic; null if unknown or not told. */
  readonly postgresMajor: number | null
}

/**
 * @param systemIdentifier of the cluster that the file is to be archived for.
 * @throws SeawallError `refused`
 */
export async function inspectWalFile(
  handle: FileHandle,
  path: string,
  file: WalFile,
  systemIdentifier: string,
  log: Log,
): Promise<Inspected> {
  const status = await handle.stat().catch(readFailed(path))
  if (!status.isFile()) {
    throw refused(path, status.isDirectory() ? 'it is a directory' : 'it is not a regular file')
  }
  if (file.kind === 'segment' || file.kind === 'partial') {
    return inspectSegment(handle, path, file, status.size, systemIdentifier, log)
  }
  if (status.size === 0 || status.size > MAX_TEXT_SIZE) {
    throw refused(path, `${status.size} bytes are no possible size of such a file`)
  }
  const text = await readExactly(handle, path, status.size)
  if (file.kind === 'history') checkHistory(path, file.timeline, text.toString('utf8'))
  else checkBackupHistory(path, file.segment, text.toString('utf8'))
  return { size: status.size, segmentSize: undefined, postgresMajor: null }
}

async function inspectSegment(
  handle: FileHandle,
  path: string,
  file: WalFile & { kind: 'segment' | 'partial' },
  size: number,
  systemIdentifier: string,
  log: Log,
): Promise<Inspected> {
  const header = parseWalPageHeader(await readExactly(handle, path, Math.min(size, WAL_PAGE_HEADER_SIZE)))
  if (!header) throw refused(path, 'it does not begin with a WAL page header')
  const { segmentSize, timeline, address } = header
  if (!isSegmentSize(segmentSize))
    throw refused(path, `its header says an impossible segment size of ${segmentSize} bytes`)
  if (size !== segmentSize) throw refused(path, `it has ${size} bytes, and its header says ${segmentSize}`)
  if (header.systemIdentifier !== BigInt(systemIdentifier)) {
    throw new SeawallError('refused', {
      operation: 'archive',
      object: path,
      reason: `it belongs to system identifier ${header.systemIdentifier}, and this cluster is ${systemIdentifier}`,
      hint: 'Find out how a file of another cluster came into pg_wal. It was not archived.',
    })
  }
  if (!isPossibleSegment(file.segment, segmentSize)) {
    throw refused(path, `its name is not possible with segments of ${segmentSize} bytes`)
  }
  const start = segmentStart(segmentNumber(file.segment, segmentSize), segmentSize)
  if (address !== start) {
    throw refused(path, `its first page is at ${formatLsn(address)}, and its name says ${formatLsn(start)}`)
  }
  // The first segment of a new timeline is a copy of the old one's, so a lower timeline is right.
  if (timeline > file.timeline) {
    throw refused(path, `its first page is of timeline ${timeline}, and its name says ${file.timeline}`)
  }
  if (header.major === undefined) {
    log.warn(`${path} has a WAL page magic that this program does not know; archiving it all the same`, {
      magic: `0x${header.magic.toString(16)}`,
    })
  }
  return { size, segmentSize, postgresMajor: header.major ?? null }
}

/** The first `size` bytes of the file. @throws SeawallError `refused` if it is shorter */
async function readExactly(handle: FileHandle, path: string, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size)
  for (let length = 0; length < size; ) {
    const { bytesRead } = await handle.read(bytes, length, size - length, length).catch(readFailed(path))
    if (bytesRead === 0) throw refused(path, `it ended after ${length} bytes while it was being read`)
    length += bytesRead
  }
  return bytes
}

function checkHistory(path: string, timeline: number, text: string): void {
  let parents: number
  try {
    parents = parseHistory(text, timeline, path).ancestors.length
  } catch (cause) {
    throw refused(path, 'it is no timeline history file', cause)
  }
  if (parents === 0) throw refused(path, 'it names no parent timeline')
}

/** The first two lines as do_pg_backup_stop writes them (access/transam/xlog.c). */
function checkBackupHistory(path: string, segment: string, text: string): void {
  const match = /^START WAL LOCATION: [0-9A-F]+\/[0-9A-F]+ \(file ([0-9A-F]{24})\)\n/.exec(text)
  if (match?.[1] !== segment) throw refused(path, 'it is no backup history file of that segment')
}

function refused(path: string, reason: string, cause?: unknown): SeawallError {
  return new SeawallError('refused', {
    operation: 'archive',
    object: path,
    reason,
    hint: 'The file is damaged or is not what its name says. It was not archived, and PostgreSQL keeps it.',
    cause,
  })
}
