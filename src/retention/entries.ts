/** The rows of a plan. Each is a group of objects with one fate; it knows how many they are and can enumerate them. */

import type { ArchivedBackup } from '../archive/backups.ts'
import { type ClusterLayout, startSegmentOf } from '../core/archive-layout.ts'
import { segmentName, timelineOfSegment } from '../core/wal-names.ts'
import type { ObjectInfo } from '../storage/storage.ts'
import type { Judge, Verdict } from './decide-wal.ts'
import type { Listing, SideFile } from './inventory.ts'
import type { SegmentTable } from './segment-table.ts'

export interface Entry extends Verdict {
  readonly kind: 'cluster' | 'backup' | 'wal' | 'history'
  /** What it is, in a few words. */
  readonly name: string
  readonly timeline: number | undefined
  readonly count: number
  /** Bytes. */
  readonly size: number
  /** Of an incomplete backup: the key whose appearance makes it complete. */
  readonly completedBy?: string
  /** The objects, in the order in which they may be removed. */
  objects(): Iterable<ObjectInfo>
}

/** Everything that was listed. Cluster record and histories are kept. */
export function allEntries(listing: Listing, judgeBackup: (backup: ArchivedBackup) => Verdict, judge: Judge): Entry[] {
  return [
    ...clusterRecordEntry(listing, { keep: true, reason: 'it says what belongs here' }),
    ...backupEntries(listing, judgeBackup),
    ...walEntries(listing, judge),
    ...historyEntry(listing, { keep: true, reason: 'histories are always kept' }),
  ]
}

/** When the last object of a backup was created, in milliseconds since 1970. */
export function newestTime({ objects }: ArchivedBackup): number {
  return objects.reduce((newest, { modified }) => Math.max(newest, modified.getTime()), Number.NEGATIVE_INFINITY)
}

/** Oldest first. */
export function backupEntries({ layout, backups }: Listing, judge: (backup: ArchivedBackup) => Verdict): Entry[] {
  const time = (backup: ArchivedBackup) => backup.record?.stoppedAt.getTime() ?? newestTime(backup)
  return backups.toSorted((a, b) => time(a) - time(b)).map((backup) => backupEntry(layout, backup, judge(backup)))
}

/** A backup: `backup.json` first, so that what is left of a half-removed one is never offered. */
function backupEntry(layout: ClusterLayout, backup: ArchivedBackup, verdict: Verdict): Entry {
  const record = layout.backupRecord(backup.id)
  const objects = [
    ...backup.objects.filter(({ key }) => key === record),
    ...backup.objects.filter(({ key }) => key !== record),
  ]
  const name = `${backup.record ? 'backup' : 'incomplete backup'} ${backup.id}`
  const entry = group('backup', name, timelineOfSegment(startSegmentOf(backup.id)), objects, verdict)
  return objects[0]?.key === record ? entry : { ...entry, completedBy: record }
}

/** All WAL but the histories: timelines by the age of what they begin with, and within each by position. */
export function walEntries(listing: Listing, judge: Judge): Entry[] {
  const tables = [...listing.segments.values()].sort((a, b) => a.time(0) - b.time(0) || a.timeline - b.timeline)
  const timelines = new Set([
    ...tables.map(({ timeline }) => timeline),
    ...listing.sideFiles.map((f) => f.file.timeline),
  ])
  return [...timelines].flatMap((timeline) => {
    const table = listing.segments.get(timeline)
    const files = listing.sideFiles.filter(({ file }) => file.timeline === timeline)
    return [...(table ? segmentEntries(listing, table, judge) : []), ...sideFileEntries(timeline, files, judge)]
  })
}

export function clusterRecordEntry({ clusterRecord }: Listing, verdict: Verdict): Entry[] {
  return clusterRecord ? [group('cluster', 'cluster.json', undefined, [clusterRecord], verdict)] : []
}

export function historyEntry({ histories }: Listing, verdict: Verdict): Entry[] {
  return histories.length > 0 ? [group('history', 'timeline histories', undefined, histories, verdict)] : []
}

/** One entry for each run of segments that share a verdict. */
function segmentEntries(listing: Listing, table: SegmentTable, judge: Judge): Entry[] {
  const entries: Entry[] = []
  const verdictOf = (index: number) => judge(table.timeline, table.number(index), table.time(index))
  for (let start = 0; start < table.length; ) {
    const verdict = verdictOf(start)
    let size = 0
    let end = start
    for (; end < table.length && verdictOf(end) === verdict; end++) size += table.size(end)
    entries.push(segmentRun(listing, table, start, end, size, verdict))
    start = end
  }
  return entries
}

function segmentRun(
  { layout, segmentSize }: Listing,
  table: SegmentTable,
  start: number,
  end: number,
  size: number,
  verdict: Verdict,
): Entry {
  const { timeline } = table
  const nameOf = (index: number) => segmentName(timeline, BigInt(table.number(index)), segmentSize)
  const name = end - start === 1 ? `WAL ${nameOf(start)}` : `WAL ${nameOf(start)} to ${nameOf(end - 1)}`
  function* objects(): Generator<ObjectInfo> {
    for (let index = start; index < end; index++) {
      yield { key: layout.segment(nameOf(index)), size: table.size(index), modified: new Date(table.time(index)) }
    }
  }
  return { kind: 'wal', name, timeline, count: end - start, size, ...verdict, objects }
}

function sideFileEntries(timeline: number, files: readonly SideFile[], judge: Judge): Entry[] {
  const verdictOf = (file: SideFile) => judge(timeline, file.number, file.modified.getTime())
  return [...new Set(files.map(verdictOf))].map((verdict) => {
    const same = files.filter((file) => verdictOf(file) === verdict)
    const kinds = [...new Set(same.map(({ file }) => `.${file.kind}`))].sort().join(', ')
    return group('wal', `${kinds} files of timeline ${timeline}`, timeline, same, verdict)
  })
}

function group(
  kind: Entry['kind'],
  name: string,
  timeline: number | undefined,
  objects: readonly ObjectInfo[],
  { keep, reason }: Verdict,
): Entry {
  const size = objects.reduce((sum, object) => sum + object.size, 0)
  return { kind, name, timeline, count: objects.length, size, keep, reason, objects: () => objects }
}
