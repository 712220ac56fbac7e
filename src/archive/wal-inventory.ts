/** Which WAL is in the archive. */
import type { ClusterLayout } from '../core/archive-layout.ts'
import { segmentName, type WalFile } from '../core/wal-names.ts'
import type { ListOptions, ObjectInfo, ReadableStorage } from '../storage/storage.ts'

export interface ArchivedWal extends ObjectInfo {
  readonly file: WalFile
}

/** Every WAL file in the archive, segments by ascending name, histories last. */
export async function* listWal(
  storage: ReadableStorage,
  layout: ClusterLayout,
  options?: ListOptions,
): AsyncGenerator<ArchivedWal> {
  for await (const info of storage.list(layout.walPrefix, options)) {
    const object = layout.parse(info.key)
    if (object?.kind === 'wal') yield { ...info, file: object.file }
  }
}

/** The first whole segment on the same timeline after the given one; undefined if there is none. */
export async function nextArchivedSegment(
  storage: ReadableStorage,
  layout: ClusterLayout,
  segment: string,
  options?: ListOptions,
): Promise<ArchivedWal | undefined> {
  const timeline = segment.slice(0, 8)
  for await (const wal of listWal(storage, layout, { ...options, after: layout.segment(segment) })) {
    if (!wal.file.name.startsWith(timeline)) return undefined
    if (wal.file.kind === 'segment') return wal
  }
  return undefined
}

/** The keys of all partial segments archived under one name: as many as there were different contents. */
export async function listPartials(
  storage: ReadableStorage,
  layout: ClusterLayout,
  segment: string,
  options?: ListOptions,
): Promise<string[]> {
  const prefix = layout.partialPrefix(segment)
  const keys: string[] = []
  for await (const { key } of storage.list(layout.walDirectory(segment), { ...options, after: prefix })) {
    if (!key.startsWith(prefix)) break
    keys.push(key)
  }
  return keys
}

/** The first segment of a range (inclusive, of one timeline) that is not in the archive; undefined if all are. */
export async function firstMissingSegment(
  storage: ReadableStorage,
  layout: ClusterLayout,
  range: { readonly timeline: number; readonly first: bigint; readonly last: bigint; readonly segmentSize: number },
  options?: ListOptions,
): Promise<string | undefined> {
  for (let number = range.first; number <= range.last; number += 1n) {
    const segment = segmentName(range.timeline, number, range.segmentSize)
    if (!(await storage.head(layout.segment(segment), options))) return segment
  }
  return undefined
}
