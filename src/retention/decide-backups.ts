/** Which complete backups are kept and why, and which of them hold back WAL. The argument stands in plan.ts. */
import { historyOf } from '../archive/timelines.ts'
import { type CompleteBackup, leadsTo } from './complete-backups.ts'
import type { Inventory } from './inventory.ts'

export interface BackupDecisions {
  /** Reasons to keep, by backup; one without any is removed. */
  readonly reasons: ReadonlyMap<CompleteBackup, readonly string[]>
  /** Kept backups from whose start on all WAL is kept. */
  readonly holders: ReadonlySet<CompleteBackup>
  /** Live timelines that no kept counting backup leads to. */
  readonly unserved: ReadonlySet<number>
  /** Live timelines above 1 without a history file. */
  readonly unknownLines: readonly number[]
}

/**
 * @param backups oldest first.
 * @param live numbers of the timelines that have WAL in the window.
 * @param windowStart milliseconds since 1970.
 * @param keepBase how many counting backups are kept at least.
 */
export function decideBackups(
  { timelines }: Inventory,
  backups: readonly CompleteBackup[],
  live: readonly number[],
  windowStart: number,
  keepBase: number,
): BackupDecisions {
  const reasons = new Map<CompleteBackup, string[]>(backups.map((backup) => [backup, []]))
  const holders = new Set<CompleteBackup>()
  const keep = (backup: CompleteBackup, reason: string) => {
    reasons.get(backup)!.push(reason)
    holders.add(backup)
  }
  const counting = backups.filter(({ defect }) => defect === undefined)
  const before = backups.filter(({ endedAt }) => endedAt < windowStart)
  const onLineOf = (timeline: number) => {
    const history = historyOf(timelines, timeline)
    return (backup: CompleteBackup) => leadsTo(backup, history)
  }

  for (const backup of backups) {
    if (backup.defect !== undefined) reasons.get(backup)!.push(`it does not count: ${backup.defect}`)
    if (backup.endedAt >= windowStart) keep(backup, 'it ended inside the window')
  }

  const servedBy = new Map(
    live.map((timeline) => [timeline, furthest(before.filter(onLineOf(timeline)).filter(isIn(counting)))]),
  )
  for (const backup of new Set(servedBy.values())) {
    const served = live.filter((timeline) => servedBy.get(timeline) === backup)
    if (backup) keep(backup, `the newest one before the window for timeline ${served.join(', ')}`)
  }
  const unknownLines = live.filter((timeline) => timeline > 1 && !timelines.has(timeline))
  for (const timeline of live.filter((each) => servedBy.get(each) === undefined)) {
    // What does not count stands in for none, but once repaired it needs the WAL that follows it.
    for (const backup of before.filter(onLineOf(timeline))) holders.add(backup)
    if (!unknownLines.includes(timeline)) continue
    for (const backup of before.filter(({ record }) => record.timeline < timeline)) {
      keep(backup, `it may lead to timeline ${timeline}, whose history file is missing`)
    }
  }

  let kept = counting.filter(isIn(holders)).length
  for (const backup of counting.toReversed()) {
    if (kept >= keepBase || holders.has(backup)) continue
    keep(backup, `one of the newest ${keepBase} (--keep-base)`)
    kept += 1
  }

  const unserved = live.filter((timeline) => !counting.filter(isIn(holders)).some(onLineOf(timeline)))
  return { reasons, holders, unserved: new Set(unserved), unknownLines }
}

/** Of backups on one line, the one that reaches furthest along it. */
function furthest(backups: readonly CompleteBackup[]): CompleteBackup | undefined {
  return backups.reduce<CompleteBackup | undefined>(
    (best, backup) => (best === undefined || backup.record.stopLsn >= best.record.stopLsn ? backup : best),
    undefined,
  )
}

function isIn(backups: Iterable<CompleteBackup>): (backup: CompleteBackup) => boolean {
  const set = backups instanceof Set ? backups : new Set(backups)
  return (backup) => set.has(backup)
}
