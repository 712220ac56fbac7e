/** Which backup is restored, and along which timeline it recovers: decided from what the archive holds, or refused. */
import { type ArchivedBackup, damagedFiles } from '../archive/backups.ts'
import { type ArchivedHistory, historyOf } from '../archive/timelines.ts'
import type { ClusterLayout } from '../core/archive-layout.ts'
import type { BackupRecord } from '../core/backup-record.ts'
import { SeawallError } from '../core/errors.ts'
import { formatLsn } from '../core/lsn.ts'
import { includes } from '../core/timelines.ts'
import { chooseTimeline, describeTimelines, requireNothingNewer, type TimelineChoice } from './choose-timeline.ts'
import { describeTarget, type RecoveryTarget, type TargetTimeline } from './target.ts'
import type { WalMap } from './wal-map.ts'

export interface SelectionInput {
  readonly layout: ClusterLayout
  readonly backups: readonly ArchivedBackup[]
  readonly timelines: ReadonlyMap<number, ArchivedHistory>
  readonly wal: WalMap
  readonly target: RecoveryTarget
  readonly targetTimeline: TargetTimeline | undefined
  /** An id, `latest`, or undefined to choose by the target. */
  readonly backup: string | undefined
  readonly standby: boolean
}

export interface Selection {
  readonly record: BackupRecord
  /** The timeline along which recovery goes. */
  readonly timeline: number
  /** Value of recovery_target_timeline: a number, `current` or `latest`. */
  readonly timelineSetting: string
  /** Things that the user should know, and that are no reason to refuse. */
  readonly warnings: readonly string[]
}

/** @throws SeawallError `not-found` with the reason, `usage`, or `corrupt` if the backup that was asked for is damaged. */
export function selectBackup(input: SelectionInput): Selection {
  const warnings: string[] = []
  const chosen = isId(input.backup) ? requireBackup(input, input.backup) : undefined
  if (!input.backup && (input.target.kind === 'xid' || input.target.kind === 'name')) throw needsBackup(input.target)
  const usable = chosen ? [chosen] : usableBackups(input, warnings)
  if (usable.length === 0) throw noBackups(input, warnings)
  const timeline = timelineOf(input, usable, chosen)
  const record = chosen ?? newestBefore(input, usable, timeline)
  requireReachable(input, record, timeline)
  warnings.push(...checkWal(input, record, timeline))
  return { record, timeline, timelineSetting: settingOf(input, record, timeline), warnings }
}

function isId(backup: string | undefined): backup is string {
  return backup !== undefined && backup !== 'latest'
}

function usableBackups({ layout, backups }: SelectionInput, warnings: string[]): BackupRecord[] {
  return backups.flatMap(({ id, record, error, objects }) => {
    if (error) warnings.push(`backup ${id} is left out: ${error.message}`)
    if (!record) return []
    const damaged = damagedFiles(layout, record, objects)
    if (damaged.length === 0) return [record]
    warnings.push(`backup ${id} is left out: ${damaged.join(', ')} is missing or has not the recorded size`)
    return []
  })
}

function requireBackup({ layout, backups }: SelectionInput, id: string): BackupRecord {
  const found = backups.find((backup) => backup.id === id)
  if (found?.error) throw found.error
  if (!found?.record) {
    const complete = backups.filter(({ record }) => record).map((backup) => backup.id)
    throw new SeawallError('not-found', {
      operation: 'find base backup',
      object: id,
      reason: found ? 'it was never completed: it has no backup.json' : 'there is none of that id',
      detail: `complete backups: ${complete.slice(-10).join(', ') || 'none'}`,
      hint: 'Give the id of a complete backup, or "latest".',
    })
  }
  const damaged = damagedFiles(layout, found.record, found.objects)
  if (damaged.length === 0) return found.record
  throw new SeawallError('corrupt', {
    operation: 'use base backup',
    object: id,
    reason: `${damaged.join(', ')} is missing or has not the recorded size`,
    hint: 'Restore it from a copy of the archive, or use another backup.',
  })
}

function timelineOf(input: SelectionInput, usable: readonly BackupRecord[], chosen: BackupRecord | undefined): number {
  const { timelines, wal, target, targetTimeline } = input
  if (target.kind === 'immediate' && targetTimeline === undefined && chosen) return chosen.timeline
  const known = new Set([...timelines.keys(), ...wal.timelines, ...usable.map(({ timeline }) => timeline)])
  // A timeline that no backup leads to cannot be meant, such as a last segment of an old one that came late.
  const candidates = [...known].filter((timeline) => usable.some((record) => isOnPath(input, record, timeline)))
  const choice: TimelineChoice = {
    timelines,
    wal,
    candidates,
    backups: usable,
    ...(target.kind === 'time' ? { time: target.time.date } : {}),
    ...(target.kind === 'lsn' ? { lsn: target.lsn } : {}),
  }
  if (targetTimeline === undefined || targetTimeline === 'latest') {
    const timeline = targetTimeline === undefined ? chooseTimeline(choice) : Math.max(...candidates)
    // Whoever names a backup decides against the timelines whose histories do not hold it.
    const left = [...known].filter((other) => !candidates.includes(other) && !(chosen && timelines.has(other)))
    requireNothingNewer(choice, timeline, left, targetTimeline === 'latest' || input.standby)
    return timeline
  }
  if (known.has(targetTimeline)) return targetTimeline
  throw new SeawallError('not-found', {
    operation: 'use timeline',
    object: String(targetTimeline),
    reason: 'nothing of it is archived',
    detail: describeTimelines(choice, [...known]),
    hint: 'Give one of these with --target-timeline.',
  })
}

/** The newest backup on the way of the timeline that ended before the target. */
function newestBefore(input: SelectionInput, usable: readonly BackupRecord[], timeline: number): BackupRecord {
  const onPath = usable.filter((record) => isOnPath(input, record, timeline))
  if (onPath.length === 0) {
    throw new SeawallError('not-found', {
      operation: 'find a base backup for',
      object: describeTarget(input.target),
      reason: `no backup lies on the way of timeline ${timeline}`,
      detail: `backups: ${usable.map(({ id, timeline: of }) => `${id} on timeline ${of}`).join(', ')}`,
      hint:
        timeline === 1 || input.timelines.has(timeline)
          ? 'Choose another timeline with --target-timeline.'
          : 'Its history is not archived: archive it from pg_wal of its server with wal-push, or choose another timeline with --target-timeline.',
    })
  }
  if (input.backup === 'latest') return newestOf(onPath)
  const early = onPath.filter((record) => endedBefore(record, input.target))
  if (early.length > 0) return newestOf(early)
  throw tooEarly(input.target, onPath)
}

function requireReachable(input: SelectionInput, record: BackupRecord, timeline: number): void {
  if (!endedBefore(record, input.target)) throw tooEarly(input.target, [record])
  if (isOnPath(input, record, timeline)) return
  throw new SeawallError('not-found', {
    operation: 'recover along timeline',
    object: String(timeline),
    reason: `backup ${record.id} ended at ${formatLsn(record.stopLsn)} on timeline ${record.timeline}, which is not part of its history`,
    hint: 'Choose another backup, or another timeline with --target-timeline.',
  })
}

function isOnPath({ timelines }: SelectionInput, record: BackupRecord, timeline: number): boolean {
  return includes(historyOf(timelines, timeline), record.timeline, record.stopLsn)
}

function endedBefore(record: BackupRecord, target: RecoveryTarget): boolean {
  if (target.kind === 'time') return record.stoppedAt <= target.time.date
  return target.kind !== 'lsn' || record.stopLsn <= target.lsn
}

/** By position: on one history that is the order in time too. */
function newestOf(records: readonly BackupRecord[]): BackupRecord {
  return records.reduce((newest, record) =>
    record.stopLsn > newest.stopLsn || (record.stopLsn === newest.stopLsn && record.id > newest.id) ? record : newest,
  )
}

/** @returns warnings. @throws SeawallError `not-found` if WAL that is needed is not archived. */
function checkWal({ timelines, wal, target }: SelectionInput, record: BackupRecord, timeline: number): string[] {
  const reach = wal.reach(historyOf(timelines, timeline), record.startLsn)
  const refuse = (reason: string, hint: string): never => {
    throw new SeawallError('not-found', {
      operation: 'recover to',
      object: describeTarget(target),
      reason,
      detail: `backup ${record.id}, timeline ${timeline}`,
      hint,
    })
  }
  const hole = `WAL segment ${reach.name} is not archived, although later ones are`
  const behindHole = `${hole}: if the target lies behind it, recovery stops there with an error`
  const holeHint =
    'Archive the segment if a server still has it in pg_wal; else choose a target before it, or a newer backup.'
  if (reach.missing <= wal.numberAt(record.stopLsn - 1n)) {
    refuse(`WAL segment ${reach.name}, which the backup itself needs, is not archived`, 'Choose another backup.')
  }
  const end = reach.lastArchivedAt
  switch (target.kind) {
    case 'immediate':
      return []
    case 'lsn':
      if (reach.missing > wal.numberAt(target.lsn)) return []
      if (reach.isHole) return refuse(hole, holeHint)
      return refuse(
        `it lies beyond the archived WAL, in which segment ${reach.name} is the first that is missing`,
        'Choose an earlier target, or wait until the segment is archived.',
      )
    case 'time':
      // Archived late, the last segment before a hole may be older than it looks.
      if (end !== undefined && target.time.date <= end) return reach.isHole ? [behindHole] : []
      if (reach.isHole) return refuse(`${hole}; WAL before it was archived until ${end?.toISOString()}`, holeHint)
      return [
        `the newest archived WAL is of ${end?.toISOString()}, before the target: unless more WAL is archived, the server ends with "recovery ended before configured recovery target was reached"`,
      ]
    case 'end':
      return reach.isHole ? refuse(hole, holeHint) : []
    default:
      return reach.isHole ? [behindHole] : []
  }
}

function settingOf({ timelines, targetTimeline, standby }: SelectionInput, record: BackupRecord, timeline: number) {
  if (targetTimeline === 'latest' || (standby && targetTimeline === undefined)) return 'latest'
  // PostgreSQL wants the history file of any timeline but 1 that it is told by number.
  const withoutHistory = timeline === record.timeline && timeline !== 1 && !timelines.has(timeline)
  return withoutHistory ? 'current' : String(timeline)
}

function needsBackup(target: RecoveryTarget): SeawallError {
  return new SeawallError('usage', {
    operation: 'choose a base backup for',
    object: describeTarget(target),
    reason: 'such a target does not tell which backup ended before it',
    hint: 'Give the id of a backup that ended before it, or "latest".',
  })
}

function noBackups({ layout, backups }: SelectionInput, warnings: readonly string[]): SeawallError {
  return new SeawallError('not-found', {
    operation: 'find a base backup of',
    object: layout.prefix,
    reason: backups.length === 0 ? 'there is none' : 'none is complete and undamaged',
    ...(warnings.length > 0 ? { detail: warnings.join('; ') } : {}),
    hint: 'Take one with base-push, or check --archive, --cluster and --system-id.',
  })
}

function tooEarly(target: RecoveryTarget, records: readonly BackupRecord[]): SeawallError {
  const earliest = records.reduce((first, record) => (record.stopLsn < first.stopLsn ? record : first))
  const possible =
    target.kind === 'time' ? `time ${earliest.stoppedAt.toISOString()}` : `LSN ${formatLsn(earliest.stopLsn)}`
  const single = records.length === 1
  return new SeawallError('not-found', {
    operation: 'recover to',
    object: describeTarget(target),
    reason: single ? `backup ${earliest.id} ended after it` : 'no backup ended before it',
    detail: `the earliest possible target is ${possible} (backup ${earliest.id})`,
    hint: single
      ? 'Choose a later target, leave the id out so that an older backup is found if there is one, or choose another timeline with --target-timeline.'
      : 'Choose a later target, or another timeline with --target-timeline.',
  })
}
