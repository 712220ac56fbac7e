/** Tells the end of a timeline from a hole in it. A hole taken for the end opens the server with rows missing. */
import { readHistory, readTimelines } from '../archive/timelines.ts'
import { nextArchivedSegment } from '../archive/wal-inventory.ts'
import type { Codec } from '../codec/codec.ts'
import type { ClusterLayout } from '../core/archive-layout.ts'
import { formatLsn } from '../core/lsn.ts'
import { beginningOf, forkOf } from '../core/timelines.ts'
import { segmentNumber, segmentNumberAt, timelineOfSegment } from '../core/wal-names.ts'
import type { CallOptions, ReadableStorage } from '../storage/storage.ts'

/**
 * For a segment that is not in the archive: why it must have existed, or undefined if nothing says so.
 *
 * It must have existed if a later segment of its timeline is archived, or if a later timeline forked from it further on.
 * It can not have existed if its timeline began after it: PostgreSQL then looks for it on the parent.
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
  const later = await nextArchivedSegment(storage, layout, segment, options)
  if (later) {
    const history = await readHistory(storage, codec, layout, timeline, options)
    const beforeBeginning = history && number < segmentNumberAt(beginningOf(history), segmentSize)
    return beforeBeginning ? undefined : `${later.file.name} is archived`
  }
  for (const history of (await readTimelines(storage, codec, layout, options)).values()) {
    const forkedAt = forkOf(history, timeline)
    if (forkedAt !== undefined && number < segmentNumberAt(forkedAt, segmentSize)) {
      return `timeline ${history.timeline} forked from it at ${formatLsn(forkedAt)}`
    }
  }
  return undefined
}
