/**
 * What to keep and what to remove, decided purely from an inventory, a policy and the time.
 *
 * The promise: every moment of the window stays restorable on every live timeline, as far as it was before.
 *
 * - The window ends with the newest archived segment (or now, if the archive's clock is ahead), so that a cluster that
 *   has been down for weeks keeps its week. A timeline is live if anything of it was archived since the window began;
 *   a moment inside the window on any other timeline has no WAL of its own, and is a moment of an ancestor's or none.
 * - Restoring a moment M on timeline T needs a backup that ended before M on T's own line (on T, or on an ancestor before
 *   the fork), and all WAL along that line from the backup's start to M. Of the counting backups on T's line that ended
 *   before the window began take B, which reaches furthest along the line: it serves every M of the window on T; the WAL
 *   up to its stop is there because it counts; and what it needs beyond, any other one needs too, so that no hole harms it
 *   alone. B is kept for each live T, and so is every backup that ended later.
 * - Along a line positions only grow, also across forks. So all WAL that a kept backup needs, on whatever timeline, lies
 *   at or above its start; the lowest start among the kept bounds them all. The lowest, not the oldest: after a
 *   point-in-time recovery that went back below an older backup, a younger one may start lower.
 * - A backup now being taken on a timeline that a kept backup leads to starts above that one's start. On a live timeline
 *   that none leads to, the WAL of the window is kept for it. One that has objects already says by its id where it
 *   starts.
 * - A timeline above 1 without its history file has an unknown line. Until it has a counting backup of its own from
 *   before the window, each backup of a lower timeline may be the one it needs once the file is found.
 * - A complete backup that does not count stands in for none and is kept with its own WAL, as it may be repaired. Where
 *   there is no B for a live timeline, the WAL after each of them on its line is kept as well: some may even serve as they
 *   are, where a child's first segment holds a copy of what the parent's timeline lacks.
 *
 * What counts as time is the archive's clock, by which objects were created. The clock of the machine that prunes can only
 * move the window's end back; running ahead by more than a day it would take an unfinished backup for an abandoned one,
 * which is why base-push lists its parts again before it writes `backup.json`.
 */

import type { ArchivedBackup } from '../archive/backups.ts'
import { startSegmentOf } from '../core/archive-layout.ts'
import { segmentNumber } from '../core/wal-names.ts'
import { type CompleteBackup, completeBackups } from './complete-backups.ts'
import { type BackupDecisions, decideBackups } from './decide-backups.ts'
import { type Floor, judgeWal, type Range, type Verdict } from './decide-wal.ts'
import { allEntries, type Entry, newestTime } from './entries.ts'
import type { Inventory, Listing } from './inventory.ts'
import type { Policy } from './policy.ts'

export interface Plan {
  readonly systemIdentifier: string
  /** What everything in the plan lies below. */
  readonly prefix: string
  /** `no-backup`: nothing is removed, because no backup counts. */
  readonly outcome: 'done' | 'no-backup'
  /** The recovery window; undefined if there is none to keep. */
  readonly window: { readonly start: Date; readonly end: Date } | undefined
  /** Every object, in groups. */
  readonly entries: readonly Entry[]
  /** Sentences without a full stop that the reader should not miss. */
  readonly notes: readonly string[]
  /** What dead writers left before this moment is removed too; undefined if nothing is. */
  readonly abandonedBefore: Date | undefined
}

/** The earliest moment that a Date can hold, in milliseconds since 1970: for a window longer than history. */
const earliestDate = -8.64e15

/** An unfinished backup, or what is left of a removed one, goes when nothing was added to it for so long. */
const untouchedFor = 86_400_000

export function planRetention(inventory: Inventory, policy: Policy, now: Date): Plan {
  const window = windowOf(inventory, policy, now)
  const windowStart = window.start.getTime()
  const backups = completeBackups(inventory)
  if (!backups.some(({ defect }) => defect === undefined)) return keepEverything(inventory, backups, window)

  const live = liveTimelines(inventory, windowStart)
  const decisions = decideBackups(inventory, backups, live, windowStart, policy.keepBase)
  const untouchedSince = now.getTime() - untouchedFor
  const incomplete = inventory.backups
    .filter(({ record }) => record === undefined)
    .map((backup) => ({ backup, swept: newestTime(backup) < untouchedSince }))
  const judge = judgeWal({
    floor: floorOf(inventory, decisions.holders, incomplete),
    ranges: ownWal(backups, decisions.holders),
    unserved: decisions.unserved,
    windowStart,
  })
  const verdicts = new Map<ArchivedBackup, Verdict>()
  for (const [{ archived }, reasons] of decisions.reasons) verdicts.set(archived, verdictOf(reasons))
  for (const { backup, swept } of incomplete) verdicts.set(backup, swept ? abandoned : inProgress)
  return {
    ...identity(inventory),
    outcome: 'done',
    window,
    entries: allEntries(inventory, (backup) => verdicts.get(backup)!, judge),
    notes: [...notesOn(decisions), ...defects(backups)],
    abandonedBefore: new Date(untouchedSince),
  }
}

const inProgress: Verdict = { keep: true, reason: 'it may be in progress: its newest object is less than a day old' }
const abandoned: Verdict = { keep: false, reason: 'it was never finished, and its newest object is older than a day' }
const superseded: Verdict = {
  keep: false,
  reason: 'it ended before the window, and no live timeline needs it',
}

function keepEverything(inventory: Inventory, backups: CompleteBackup[], window: Plan['window']): Plan {
  const verdict = { keep: true, reason: 'nothing is removed, because no backup counts' }
  return {
    ...identity(inventory),
    outcome: 'no-backup',
    window,
    entries: allEntries(
      inventory,
      () => verdict,
      () => verdict,
    ),
    notes: ['nothing is removed, because there is no backup from which a restore could begin', ...defects(backups)],
    abandonedBefore: undefined,
  }
}

function windowOf({ segments }: Inventory, { windowMs }: Policy, now: Date): { start: Date; end: Date } {
  let newest = Number.NEGATIVE_INFINITY
  for (const table of segments.values()) newest = Math.max(newest, table.newestTime())
  const end = newest === Number.NEGATIVE_INFINITY ? now.getTime() : Math.min(now.getTime(), newest)
  return { start: new Date(Math.max(end - windowMs, earliestDate)), end: new Date(end) }
}

/** Timelines of which anything was archived since the window began, ascending. */
function liveTimelines({ segments, sideFiles, timelines }: Inventory, windowStart: number): number[] {
  const live = new Set<number>()
  for (const table of segments.values()) if (table.newestTime() >= windowStart) live.add(table.timeline)
  for (const { file, modified } of sideFiles) if (modified.getTime() >= windowStart) live.add(file.timeline)
  // A timeline whose history just arrived is live although its first segment is not yet full.
  for (const { timeline, archivedAt } of timelines.values()) {
    if (archivedAt.getTime() >= windowStart) live.add(timeline)
  }
  return [...live].sort((a, b) => a - b)
}

function floorOf(
  { segmentSize }: Inventory,
  holders: ReadonlySet<CompleteBackup>,
  incomplete: readonly { backup: ArchivedBackup; swept: boolean }[],
): Floor {
  let floor: Floor = { number: Number.POSITIVE_INFINITY, reason: '' }
  const lower = (number: number, id: string) => {
    if (number < floor.number) floor = { number, reason: `from the start of backup ${id} on` }
  }
  for (const { id, firstSegment } of holders) lower(firstSegment, id)
  for (const { backup, swept } of incomplete) {
    if (!swept) lower(Number(segmentNumber(startSegmentOf(backup.id), segmentSize)), backup.id)
  }
  return floor
}

/** The WAL that kept backups need to become consistent, where they do not hold back all that follows. */
function ownWal(backups: readonly CompleteBackup[], holders: ReadonlySet<CompleteBackup>): Range[] {
  return backups
    .filter((backup) => backup.defect !== undefined && !holders.has(backup))
    .map(({ id, record, firstSegment, lastSegment }) => ({
      timeline: record.timeline,
      first: firstSegment,
      last: lastSegment,
      reason: `the own WAL of backup ${id}`,
    }))
}

function verdictOf(reasons: readonly string[]): Verdict {
  return reasons.length > 0 ? { keep: true, reason: reasons.join('; ') } : superseded
}

function notesOn({ unknownLines, unserved }: BackupDecisions): string[] {
  return [
    ...unknownLines.map(
      (timeline) =>
        `timeline ${timeline} has no history file in the archive; archive it with wal-push from the pg_wal of a server that is on this timeline`,
    ),
    ...[...unserved].map(
      (timeline) => `no backup that counts leads to timeline ${timeline}, which has WAL in the window`,
    ),
  ]
}

function defects(backups: readonly CompleteBackup[]): string[] {
  return backups
    .filter(({ defect }) => defect !== undefined)
    .map(({ id, defect }) => `backup ${id} does not count: ${defect}`)
}

function identity({ layout }: Listing): Pick<Plan, 'systemIdentifier' | 'prefix'> {
  return { systemIdentifier: layout.systemIdentifier, prefix: layout.prefix }
}
