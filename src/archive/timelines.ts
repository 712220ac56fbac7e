/** The timelines of a cluster, from the history files in its archive. */
import type { Codec } from '../codec/codec.ts'
import type { ClusterLayout } from '../core/archive-layout.ts'
import { SeawallError } from '../core/errors.ts'
import { parseHistory, type TimelineHistory } from '../core/timelines.ts'
import { historyName, MAX_TEXT_SIZE } from '../core/wal-names.ts'
import type { CallOptions, ReadableStorage } from '../storage/storage.ts'
import { openWal } from './wal-object.ts'

export interface ArchivedHistory extends TimelineHistory {
  /** When the history file was archived, by the archive's clock. */
  readonly archivedAt: Date
}

/**
 * Every timeline whose history file is archived, by its number. Timelines without one (timeline 1, usually) are not
 * among them.
 * @throws SeawallError `corrupt` if one of the files cannot be read.
 */
export async function readTimelines(
  storage: ReadableStorage,
  codec: Codec,
  layout: ClusterLayout,
  options?: CallOptions,
): Promise<Map<number, ArchivedHistory>> {
  const timelines = new Map<number, ArchivedHistory>()
  for await (const { key, modified } of storage.list(layout.historyPrefix, options)) {
    const object = layout.parse(key)
    if (object?.kind !== 'wal' || object.file.kind !== 'history') continue
    const { timeline } = object.file
    const history = await readHistory(storage, codec, layout, timeline, options)
    if (history) timelines.set(timeline, { ...history, archivedAt: modified })
  }
  return timelines
}

/** One timeline's history; undefined if its file is not in the archive. */
export async function readHistory(
  storage: ReadableStorage,
  codec: Codec,
  layout: ClusterLayout,
  timeline: number,
  options?: CallOptions,
): Promise<TimelineHistory | undefined> {
  const key = layout.history(timeline)
  const expected = { name: historyName(timeline), systemIdentifier: layout.systemIdentifier }
  const object = await openWal(storage, codec, key, expected, options)
  if (!object) return undefined
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of object.content) {
    size += chunk.length
    if (size > MAX_TEXT_SIZE) {
      throw new SeawallError('corrupt', {
        operation: 'read timeline history',
        object: key,
        reason: `it is larger than ${MAX_TEXT_SIZE} bytes, which no history file is`,
        hint: 'Compare the file with the one in pg_wal of a server that is on this timeline.',
      })
    }
    chunks.push(chunk)
  }
  return parseHistory(Buffer.concat(chunks).toString('utf8'), timeline, key)
}

/** The history of a timeline, also of one that has no file: that one has no ancestors. */
export function historyOf(timelines: ReadonlyMap<number, TimelineHistory>, timeline: number): TimelineHistory {
  return timelines.get(timeline) ?? { timeline, ancestors: [] }
}
