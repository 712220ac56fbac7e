/** Along which timeline recovery goes, when nobody said so: the one that was live, unless there is more than one. */
import { type ArchivedHistory, historyOf } from '../archive/timelines.ts'
import type { BackupRecord } from '../core/backup-record.ts'
import { SeawallError } from '../core/errors.ts'
import { formatLsn, type Lsn } from '../core/lsn.ts'
import { forkOf, type TimelineHistory } from '../core/timelines.ts'
import { historyName } from '../core/wal-names.ts'
import type { WalMap } from './wal-map.ts'

/** Beyond every LSN. */
const never = 1n << 64n

export interface TimelineChoice {
  readonly timelines: ReadonlyMap<number, ArchivedHistory>
  readonly wal: WalMap
  /** Those to choose from; not empty. */
  readonly candidates: readonly number[]
  /** Backups that can be restored. */
  readonly backups: readonly Pick<BackupRecord, 'timeline' | 'startedAt'>[]
  /** A moment or position that recovery shall reach; without either, the end. */
  readonly time?: Date
  readonly lsn?: Lsn
}

/**
 * The newest timeline that existed at the target time. If an older one received WAL after that one had begun, both are
 * live (or one is a copy that archived into the original's place), and only the user knows which is meant.
 * @throws SeawallError `not-found` with the branches.
 */
export function chooseTimeline(choice: TimelineChoice): number {
  const { timelines, wal, candidates, time, lsn } = choice
  const begun = candidates.filter((timeline) => time === undefined || existedAt(choice, timeline, time))
  const newest = Math.max(...(begun.length > 0 ? begun : candidates))
  const since = beginOf(choice, newest)
  const history = historyOf(timelines, newest)
  const rivals = begun.filter((timeline) => {
    if (timeline === newest || since === undefined) return false
    const parting = partingOf(history, historyOf(timelines, timeline))
    if (lsn !== undefined && lsn <= parting) return false
    const fork = forkOf(history, timeline)
    return wal.continues(timeline, fork === undefined ? 0 : wal.numberAt(fork), since)
  })
  if (rivals.length > 0) throw ambiguous(choice, [...rivals, newest])
  return time === undefined ? newest : continuation(choice, newest)
}

/**
 * Refuses to leave out a newer timeline whose WAL is archived only because no backup leads to it: most often the history
 * file is missing of a copy that took over while its archive_mode was off, and everything since then is on it.
 * One of known origin that had ended when a backup was taken on the chosen timeline is an abandoned branch, and is left
 * out, unless PostgreSQL itself will look for the latest.
 * @param chosen the timeline along which recovery would go.
 * @param left timelines that are not candidates.
 * @throws SeawallError `not-found` with the timelines.
 */
export function requireNothingNewer(
  choice: TimelineChoice,
  chosen: number,
  left: readonly number[],
  followsLatest: boolean,
): void {
  const newer = left.filter(
    (timeline) =>
      timeline > chosen &&
      mayHoldTarget(choice, chosen, timeline) &&
      (followsLatest || !isAbandoned(choice, chosen, timeline)),
  )
  if (newer.length === 0) return
  const unknown = newer.filter((timeline) => !choice.timelines.has(timeline))
  const names = newer.join(', ')
  throw new SeawallError('not-found', {
    operation: 'choose a timeline',
    object: '',
    reason:
      unknown.length > 0
        ? `WAL of timeline ${names} is archived without the history file that tells where it comes from`
        : `WAL of timeline ${names} is archived, and no backup leads to it`,
    detail: describeTimelines(choice, [chosen, ...newer]),
    hint:
      (unknown.length > 0
        ? `If it is the timeline of your server, archive its history from pg_wal with wal-push (${unknown.map(historyName).join(', ')}), and take a backup with base-push.`
        : 'If it is the timeline of your server, take a backup of that with base-push.') +
      ` To recover without it, give --target-timeline ${chosen}.`,
  })
}

function isAbandoned({ timelines, wal, backups }: TimelineChoice, chosen: number, timeline: number): boolean {
  const last = wal.last(timeline)
  if (!timelines.has(timeline) || !last) return false
  return backups.some((backup) => backup.timeline === chosen && backup.startedAt > last.archivedAt)
}

/** Whether the target, as far as times and positions of the archive tell, may lie on a timeline of unknown origin. */
function mayHoldTarget({ timelines, wal, time, lsn }: TimelineChoice, chosen: number, timeline: number): boolean {
  const first = wal.first(timeline)
  if (!first) return false
  if (lsn !== undefined) {
    const forkedAt = timelines.get(timeline)?.ancestors.at(-1)?.forkedAt
    return forkedAt === undefined ? wal.numberAt(lsn) >= first.number : lsn > forkedAt
  }
  if (time === undefined) return true
  const last = wal.last(chosen)
  return time >= first.archivedAt || last === undefined || last.archivedAt < time
}

/** What is known of each timeline, for messages. */
export function describeTimelines({ timelines, wal }: TimelineChoice, which: readonly number[]): string {
  return [...which]
    .sort((left, right) => left - right)
    .map((timeline) => {
      const history = timelines.get(timeline)
      const parent = history?.ancestors.at(-1)
      const last = wal.last(timeline)
      const origin = parent
        ? `left timeline ${parent.timeline} at ${formatLsn(parent.forkedAt)}, history archived ${history!.archivedAt.toISOString()}`
        : 'no history file archived'
      const end = last
        ? `last WAL ${wal.nameOf(timeline, last.number)}, archived ${last.archivedAt.toISOString()}`
        : 'no WAL of its own archived'
      return `timeline ${timeline}: ${origin}, ${end}`
    })
    .join('; ')
}

/**
 * After a failover, commits of the new timeline are older than its history file in the archive. A target time in that
 * gap lies on the new timeline if the old one ended at the fork.
 */
function continuation(choice: TimelineChoice, timeline: number): number {
  const { timelines, wal, candidates } = choice
  const next = candidates.filter((candidate) => {
    const parent = timelines.get(candidate)?.ancestors.at(-1)
    return parent?.timeline === timeline && !wal.continues(timeline, wal.numberAt(parent.forkedAt))
  })
  if (next.length === 0) return timeline
  if (next.length > 1) throw ambiguous(choice, next)
  return continuation(choice, next[0]!)
}

function existedAt(choice: TimelineChoice, timeline: number, time: Date): boolean {
  if (timeline === 1) return true
  const begin = beginOf(choice, timeline)
  return begin === undefined || begin <= time
}

/** When a timeline first showed in the archive: by its history, else by its first WAL or backup. */
function beginOf({ timelines, wal, backups }: TimelineChoice, timeline: number): Date | undefined {
  const history = timelines.get(timeline)
  if (history) return history.archivedAt
  const starts = backups.filter((backup) => backup.timeline === timeline).map(({ startedAt }) => startedAt)
  const first = wal.first(timeline)
  return [...starts, ...(first ? [first.archivedAt] : [])].sort((one, other) => one.getTime() - other.getTime())[0]
}

/** Up to where two histories are the same WAL. */
function partingOf(one: TimelineHistory, other: TimelineHistory): Lsn {
  const left = stepsOf(one)
  const right = stepsOf(other)
  let parting = 0n
  for (let index = 0; left[index] !== undefined && left[index]!.timeline === right[index]?.timeline; index++) {
    const end = left[index]!.end
    const otherEnd = right[index]!.end
    if (end < otherEnd) return end
    if (otherEnd < end) return otherEnd
    parting = end
  }
  return parting
}

/** The timelines of a history, oldest first, its own included, and where each one ends. */
function stepsOf({ ancestors, timeline }: TimelineHistory): { timeline: number; end: Lsn }[] {
  return [
    ...ancestors.map((ancestor) => ({ timeline: ancestor.timeline, end: ancestor.forkedAt })),
    { timeline, end: never },
  ]
}

function ambiguous(choice: TimelineChoice, branches: readonly number[]): SeawallError {
  return new SeawallError('not-found', {
    operation: 'choose a timeline',
    object: '',
    reason: `${branches.length} branches are live: an older timeline received WAL after a newer one had begun`,
    detail: describeTimelines(choice, branches),
    hint: 'Choose one with --target-timeline. Often one of them is a restored copy that archived into the place of the original.',
  })
}
