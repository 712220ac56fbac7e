/** The complete backups of an inventory, and whether each of them counts. */
import { type ArchivedBackup, damagedFiles } from '../archive/backups.ts'
import type { BackupRecord } from '../core/backup-record.ts'
import { includes, type TimelineHistory } from '../core/timelines.ts'
import { segmentName, segmentNumberAt, segmentNumberBefore } from '../core/wal-names.ts'
import type { Inventory } from './inventory.ts'

export interface CompleteBackup {
  readonly id: string
  readonly record: BackupRecord
  readonly archived: ArchivedBackup
  /**
   * When it ended, in milliseconds since 1970: by the server's clock or by the archive's, whichever is later, because
   * the window is measured by the archive's, and a server whose clock is slow must not make a backup look older.
   */
  readonly endedAt: number
  /** Numbers of the first and last segments that a restore of it needs, both on its timeline. */
  readonly firstSegment: number
  readonly lastSegment: number
  /** Why it does not count: it could not be restored as it lies there. Undefined if it counts. */
  readonly defect: string | undefined
}

/** Every backup that has its `backup.json`, oldest first. */
export function completeBackups(inventory: Inventory): CompleteBackup[] {
  return inventory.backups
    .filter((archived) => archived.record !== undefined)
    .map((archived) => examine(inventory, archived, archived.record!))
    .sort(byEnd)
}

/** Whether restoring the backup can lead onto the timeline of `history`: it ended before the ways parted. */
export function leadsTo(backup: CompleteBackup, history: TimelineHistory): boolean {
  return includes(history, backup.record.timeline, backup.record.stopLsn)
}

function examine(inventory: Inventory, archived: ArchivedBackup, record: BackupRecord): CompleteBackup {
  const { layout, segmentSize } = inventory
  const firstSegment = Number(segmentNumberAt(record.startLsn, segmentSize))
  const lastSegment = Math.max(firstSegment, Number(segmentNumberBefore(record.stopLsn, segmentSize)))
  const written = archived.objects.find(({ key }) => key === layout.backupRecord(record.id))!.modified
  return {
    id: record.id,
    record,
    archived,
    endedAt: Math.max(record.stoppedAt.getTime(), written.getTime()),
    firstSegment,
    lastSegment,
    defect: defectOf(inventory, archived, record, firstSegment, lastSegment),
  }
}

function defectOf(
  { layout, segments, segmentSize }: Inventory,
  archived: ArchivedBackup,
  record: BackupRecord,
  firstSegment: number,
  lastSegment: number,
): string | undefined {
  const damaged = damagedFiles(layout, record, archived.objects)
  if (damaged.length > 0) {
    const others = damaged.length > 1 ? ` (and ${damaged.length - 1} more)` : ''
    return `${damaged[0]}${others} is missing or has another size than recorded`
  }
  const table = segments.get(record.timeline)
  const missing = table ? table.firstMissing(firstSegment, lastSegment) : firstSegment
  if (missing === undefined) return undefined
  return `WAL segment ${segmentName(record.timeline, BigInt(missing), segmentSize)} is missing`
}

/** By time, and where that is equal by position; the id only makes the order complete. */
function byEnd(a: CompleteBackup, b: CompleteBackup): number {
  if (a.endedAt !== b.endedAt) return a.endedAt - b.endedAt
  if (a.record.stopLsn !== b.record.stopLsn) return a.record.stopLsn < b.record.stopLsn ? -1 : 1
  return a.id < b.id ? -1 : 1
}
