/** Which complete backups are kept and why, and which of them hold back WAL. The argument stands in plan.ts. */
import { historyOf } from '../archive/timelines.ts'
import { formatDuration } from '../core/duration.ts'
import { type CompleteBackup, leadsTo } from './complete-backups.ts'
import type { Inventory } from './inventory.ts'
import type { Policy } from './policy.ts'

export interface BackupDecisions {
  /** Reasons to keep, by backup; one without any is removed. */
  readonly reasons: ReadonlyMap<CompleteBackup, readonly string[]>
  /** Kept backups from whose start on all WAL is kept. */
  readonly holders: ReadonlySet<CompleteBackup>
  /** Live timelines that no kept counting backup leads to. */
  readonly unserved: ReadonlySet<number>
  /** What the reader should know about timelines. */
  readonly notes: readonly string[]
}

/**
 * @param backups oldest first.
 * @param live numbers of the timelines that have WAL in the window.
 * @param windowStart milliseconds since 1970.
 */
export function decideBackups(
  inventory: Inventory,
  backups: readonly CompleteBackup[],
  live: readonly number[],
  windowStart: number,
  policy: Policy,
): BackupDecisions {
  const reasons = new Map<CompleteBackup, string[]>(backups.map((backup) => [backup, []]))
  const holders = new Set<CompleteBackup>()
  const notes: string[] = []
  const keep = (backup: CompleteBackup, reason: string) => {
    reasons.get(backup)!.push(reason)
    holders.add(backup)
  }
  const earlier = backups.filter((backup) => backup.endedAt < windowStart)
  const counts = (backup: CompleteBackup) => backup.defect === undefined

  for (const backup of backups) {
    if (backup.endedAt >= windowStart) keep(backup, 'it ended inside the window')
  }
  for (const timeline of live) {
    const history = historyOf(inventory.timelines, timeline)
    const candidates = earlier.filter((backup) => leadsTo(backup, history))
    const anchor = candidates.findLast(counts)
    if (anchor) keep(anchor, `the newest one before the window for timeline ${timeline}`)
    // A newer one that does not count stands in for none, but if it is repaired it needs the WAL that follows it.
    const newest = candidates.at(-1)
    if (newest) holders.add(newest)
    if (timeline === 1 || inventory.timelines.has(timeline)) continue
    notes.push(
      `timeline ${timeline} has no history file in the archive; archive it with wal-push from the pg_wal of a server that is on this timeline`,
    )
    if (anchor) continue
    for (const backup of earlier.filter((each) => counts(each) && each.record.timeline < timeline)) {
      keep(backup, `it may lead to timeline ${timeline}, whose history file is missing`)
    }
  }
  const counting = backups.filter(counts)
  let kept = counting.filter((backup) => holders.has(backup)).length
  for (const backup of counting.toReversed()) {
    if (kept >= policy.keepBase || holders.has(backup)) continue
    keep(backup, `one of the newest ${policy.keepBase} (--keep-base)`)
    kept += 1
  }
  for (const backup of backups) {
    if (backup.defect !== undefined) reasons.get(backup)!.unshift(`it does not count: ${backup.defect}`)
  }
  const unserved = live.filter((timeline) => {
    const history = historyOf(inventory.timelines, timeline)
    return !counting.some((backup) => holders.has(backup) && leadsTo(backup, history))
  })
  for (const timeline of unserved)
    notes.push(
      `no backup that counts leads to timeline ${timeline}, which has WAL in the window of ${formatDuration(policy.windowMs)}`,
    )
  return { reasons, holders, unserved: new Set(unserved), notes }
}
