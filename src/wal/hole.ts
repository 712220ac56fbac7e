/** Tells the end of a timeline from a hole in it. A hole taken for the end opens the server with rows missing. */
import { readHistory, readTimelines } from '../archive/timelines.ts'
import { nextArchivedSegment } from '../archive/wal-inventory.ts'
import type { Codec } from '../codec/codec.ts'
import { type ClusterLayout, isBackupId, startSegmentOf } from '../core/archive-layout.ts'
import { formatLsn } from '../core/lsn.ts'
import { beginningOf, forkOf } from '../core/timelines.ts'
import { historyName, segmentNumber, segmentNumberAt, timelineDigits, timelineOfSegment } from '../core/wal-names.ts'
import type { CallOptions, ReadableStorage } from '../storage/storage.ts'

/**
 * For a segment that is not in the archive: why it must have existed, or undefined if nothing says so.
 *
 * It must have existed if a later segment of its timeline is archived, if a complete base backup began in it or later, or
 * if a later timeline forked from its timeline further on. It can not have existed if its timeline began after it:
 * PostgreSQL then looks for it on the parent.
 */
export async function findHole(
  storage: ReadableStorage,
  codec: Codec,
  layout: ClusterLayout,
  segment: string,
  segmentSize: number,
  options?: CallOptions,
): Promise<string | undefined> {
  const timeline = timelineOfSegment(segment)
  const number = segmentNumber(segment, segmentSize)
  const history = await readHistory(storage, codec, layout, timeline, options)
  if (history && number < segmentNumberAt(beginningOf(history), segmentSize)) return undefined
  const later = await nextArchivedSegment(storage, layout, segment, options)
  if (later) return `${later.file.name} is archived`
  const backup = await backupFrom(storage, layout, segment, options)
  if (backup !== undefined) return `base backup ${backup} needs WAL from there on or later, and is complete`
  for (const child of (await readTimelines(storage, codec, layout, options)).values()) {
    const forkedAt = forkOf(child, timeline)
    if (forkedAt !== undefined && number < segmentNumberAt(forkedAt, segmentSize)) {
      return `timeline ${child.timeline} forked from it at ${formatLsn(forkedAt)}`
    }
  }
  return undefined
}

/** Why a timeline must exist although its history file is not archived; undefined if nothing says so. */
export async function evidenceOfTimeline(
  storage: ReadableStorage,
  codec: Codec,
  layout: ClusterLayout,
  timeline: number,
  options?: CallOptions,
): Promise<string | undefined> {
  // Timeline 1 has no history.
  if (timeline === 1) return undefined
  const first = await nextArchivedSegment(storage, layout, `${timelineDigits(timeline)}${'0'.repeat(16)}`, options)
  if (first) return `${first.file.name} is archived`
  for (const child of (await readTimelines(storage, codec, layout, options)).values()) {
    if (forkOf(child, timeline) !== undefined) return `${historyName(child.timeline)} names it`
  }
  return undefined
}

/** The id of a complete base backup on the segment's timeline that began in it or later: all of its WAL was archived. */
async function backupFrom(
  storage: ReadableStorage,
  layout: ClusterLayout,
  segment: string,
  options?: CallOptions,
): Promise<string | undefined> {
  for (const id of await storage.listDirectories(layout.basePrefix, options)) {
    if (!isBackupId(id)) continue
    const start = startSegmentOf(id)
    const laterOnTimeline = start.slice(0, 8) === segment.slice(0, 8) && start >= segment
    if (laterOnTimeline && (await storage.head(layout.backupRecord(id), options))) return id
  }
  return undefined
}
