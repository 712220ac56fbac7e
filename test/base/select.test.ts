import { describe, expect, test } from 'vitest'
import type { ArchivedBackup } from '../../src/archive/backups.ts'
import type { ArchivedHistory } from '../../src/archive/timelines.ts'
import { type Selection, type SelectionInput, selectBackup } from '../../src/base/select.ts'
import { parseTargetTime, type RecoveryTarget } from '../../src/base/target.ts'
import { WalMap } from '../../src/base/wal-map.ts'
import { backupId, ClusterLayout } from '../../src/core/archive-layout.ts'
import type { BackupRecord } from '../../src/core/backup-record.ts'
import { SeawallError } from '../../src/core/errors.ts'
import { segmentName } from '../../src/core/wal-names.ts'

const segmentSize = 1 << 24
const layout = new ClusterLayout('main', '7000000000000000001')
const day = (hour: number, minute = 0) => new Date(Date.UTC(2026, 10, 22, hour, minute))
/** The LSN in the middle of a segment. */
const at = (segment: number) => (BigInt(segment) << 24n) + 0x80_0000n

interface World {
  readonly backups?: readonly { timeline: number; segment: number; hour: number; damage?: 'record' | 'part' }[]
  /** Segments of a timeline, each archived at an hour. */
  readonly wal?: readonly { timeline: number; from: number; to: number; hour: number; step?: number }[]
  readonly histories?: readonly { timeline: number; parents: readonly [number, number][]; hour: number }[]
}

function idOf(timeline: number, segment: number, hour: number): string {
  return backupId(day(hour), segmentName(timeline, BigInt(segment), segmentSize))
}

function inputOf({ backups = [], wal = [], histories = [] }: World): Omit<SelectionInput, 'target'> {
  const map = new WalMap(segmentSize)
  for (const { timeline, from, to, hour, step = 0 } of wal) {
    for (let number = from; number <= to; number++) map.add(timeline, BigInt(number), day(hour, step * (number - from)))
  }
  const timelines = new Map<number, ArchivedHistory>()
  for (const { timeline, parents, hour } of histories) {
    const ancestors = parents.map(([parent, segment]) => ({ timeline: parent, forkedAt: at(segment) }))
    timelines.set(timeline, { timeline, ancestors, archivedAt: day(hour) })
  }
  return {
    layout,
    backups: backups.map(backupOf),
    timelines,
    wal: map,
    targetTimeline: undefined,
    backup: undefined,
    standby: false,
  }
}

function backupOf({ timeline, segment, hour, damage }: NonNullable<World['backups']>[number]): ArchivedBackup {
  const id = idOf(timeline, segment, hour)
  if (damage === 'record') {
    const error = new SeawallError('corrupt', {
      operation: 'read',
      object: 'backup.json',
      reason: 'it is not JSON',
      hint: '',
    })
    return { id, objects: [], record: undefined, error }
  }
  const stored = (name: string) => ({ name, size: 1, sha256: '0'.repeat(64) })
  const record: BackupRecord = {
    id,
    systemIdentifier: layout.systemIdentifier,
    postgresVersion: '18.4',
    postgresVersionNumber: 180004,
    timeline,
    startLsn: BigInt(segment) << 24n,
    stopLsn: (BigInt(segment) << 24n) + 0x100n,
    startedAt: day(hour),
    stoppedAt: day(hour, 1),
    walSegmentSize: segmentSize,
    dataChecksums: false,
    tablespaces: [],
    dataDirectory: '/data',
    outsideFiles: [],
    parts: [{ ...stored('part-00001.tar.zst'), number: 1, tablespace: null, tarSize: 1 }],
    files: stored('files.jsonl.zst'),
    manifest: stored('backup_manifest.zst'),
    fileCount: 1,
    totalSize: 1,
  }
  const names = ['files.jsonl.zst', 'backup_manifest.zst', 'backup.json', ...(damage ? [] : ['part-00001.tar.zst'])]
  const objects = names.map((name) => ({ key: layout.base(id) + name, size: 1, modified: day(hour, 1) }))
  return { id, objects, record, error: undefined }
}

function select(world: World, target: RecoveryTarget, more: Partial<SelectionInput> = {}): Selection {
  return selectBackup({ ...inputOf(world), target, ...more })
}

function refusal(world: World, target: RecoveryTarget, more: Partial<SelectionInput> = {}): SeawallError {
  try {
    select(world, target, more)
  } catch (error) {
    if (error instanceof SeawallError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

const end: RecoveryTarget = { kind: 'end' }
const time = (hour: number, minute = 30): RecoveryTarget => ({
  kind: 'time',
  time: parseTargetTime(day(hour, minute).toISOString())!,
})
const lsn = (segment: number): RecoveryTarget => ({ kind: 'lsn', lsn: at(segment) })

/** Backups at 1, 5 and 9 o'clock; a segment every half an hour. */
const plain: World = {
  backups: [
    { timeline: 1, segment: 2, hour: 1 },
    { timeline: 1, segment: 10, hour: 5 },
    { timeline: 1, segment: 18, hour: 9 },
  ],
  wal: [{ timeline: 1, from: 1, to: 30, hour: 0, step: 30 }],
}

describe('one timeline', () => {
  test('the newest backup that ended before the target serves it', () => {
    expect(select(plain, time(7)).record.id).toBe(idOf(1, 10, 5))
    expect(select(plain, time(5, 1)).record.id).toBe(idOf(1, 10, 5))
    expect(select(plain, time(5, 0)).record.id).toBe(idOf(1, 2, 1))
    expect(select(plain, lsn(17)).record.id).toBe(idOf(1, 10, 5))
    expect(select(plain, lsn(18)).record.id).toBe(idOf(1, 18, 9))
    expect(select(plain, end)).toMatchObject({ timeline: 1, timelineSetting: '1', warnings: [] })
    expect(select(plain, end).record.id).toBe(idOf(1, 18, 9))
  })

  test('a target before every backup is refused with the earliest one that is possible', () => {
    const early = refusal(plain, time(0))
    expect(early.code).toBe('not-found')
    expect(early.detail).toContain(`time ${day(1, 1).toISOString()}`)
    expect(refusal(plain, { kind: 'lsn', lsn: 0x100_0000n }).detail).toContain('LSN 0/2000100')
  })

  test('a backup that ended after the target is refused although it was asked for', () => {
    expect(refusal(plain, time(7), { backup: idOf(1, 18, 9) }).reason).toMatch(/ended after it/)
    expect(refusal(plain, time(7), { backup: 'latest' }).reason).toMatch(/ended after it/)
  })

  test('a transaction or a name needs a backup to be named', () => {
    for (const target of [
      { kind: 'xid', xid: '7' },
      { kind: 'name', name: 'n' },
    ] as const) {
      expect(refusal(plain, target).code).toBe('usage')
      expect(select(plain, target, { backup: 'latest' }).record.id).toBe(idOf(1, 18, 9))
      expect(select(plain, target, { backup: idOf(1, 2, 1) }).record.id).toBe(idOf(1, 2, 1))
    }
  })

  test('an unknown and an incomplete backup are not found', () => {
    const missing = refusal(plain, end, { backup: idOf(1, 3, 3) })
    expect(missing).toMatchObject({ code: 'not-found', reason: 'there is none of that id' })
    expect(missing.detail).toContain(idOf(1, 18, 9))
    const input = inputOf(plain)
    const backups = input.backups.map((backup) => ({ ...backup, record: undefined }))
    expect(refusal(plain, end, { backups, backup: idOf(1, 2, 1) }).reason).toMatch(/never completed/)
    expect(refusal(plain, end, { backups }).reason).toMatch(/none is complete/)
    expect(refusal({ ...plain, backups: [] }, end).reason).toBe('there is none')
  })

  test.each(['record', 'part'] as const)('a newest backup with a damaged %s is left out with a warning', (damage) => {
    const world = { ...plain, backups: [...plain.backups!.slice(0, 2), { timeline: 1, segment: 18, hour: 9, damage }] }
    const selection = select(world, end)
    expect(selection.record.id).toBe(idOf(1, 10, 5))
    expect(selection.warnings.join()).toContain(idOf(1, 18, 9))
    expect(refusal(world, end, { backup: idOf(1, 18, 9) }).code).toBe('corrupt')
  })

  test('a target beyond the archived WAL: an LSN is refused, a time is warned of', () => {
    expect(select(plain, lsn(30)).warnings).toEqual([])
    expect(refusal(plain, lsn(31)).reason).toMatch(/beyond the archived WAL.* 00000001000000000000001F /)
    expect(select(plain, time(14)).warnings).toEqual([])
    expect(select(plain, time(15)).warnings.join()).toMatch(/newest archived WAL is of 2026-11-22T14:30/)
  })
})

describe('a hole in the archived WAL', () => {
  const world: World = {
    ...plain,
    wal: [
      { timeline: 1, from: 1, to: 13, hour: 0, step: 30 },
      { timeline: 1, from: 15, to: 30, hour: 7, step: 30 },
    ],
  }

  test('between a backup and a target is named', () => {
    for (const target of [lsn(14), lsn(16), time(7)]) {
      expect(refusal(world, target), target.kind).toMatchObject({ code: 'not-found' })
      expect(refusal(world, target).reason).toContain('00000001000000000000000E')
    }
    expect(refusal(world, end, { backup: idOf(1, 10, 5) }).reason).toContain('00000001000000000000000E')
  })

  test('is warned of before it, because its segments may have been archived late', () => {
    expect(select(world, time(6, 0)).warnings.join()).toContain('00000001000000000000000E')
    expect(select(world, time(10)).warnings).toEqual([])
  })

  test('does not matter before it or behind a newer backup', () => {
    expect(select(world, lsn(13)).record.id).toBe(idOf(1, 10, 5))
    expect(select(world, time(6, 0)).record.id).toBe(idOf(1, 10, 5))
    expect(refusal(world, time(6, 1)).reason).toContain(day(6).toISOString())
    expect(select(world, end).record.id).toBe(idOf(1, 18, 9))
    expect(select(world, lsn(20)).record.id).toBe(idOf(1, 18, 9))
  })

  test('is only warned of for a target whose place nobody knows', () => {
    const selection = select(world, { kind: 'xid', xid: '7' }, { backup: idOf(1, 10, 5) })
    expect(selection.warnings.join()).toContain('00000001000000000000000E')
  })

  test('inside the backup makes it useless for every target', () => {
    const inside: World = { ...plain, wal: [{ timeline: 1, from: 19, to: 30, hour: 9 }] }
    for (const target of [end, time(11), lsn(20), { kind: 'immediate' } as const]) {
      expect(refusal(inside, target, { backup: idOf(1, 18, 9) }).reason).toMatch(/which the backup itself needs/)
    }
  })
})

/** Timeline 1 failed at segment 20; timeline 2 went on from there. */
const failover: World = {
  backups: [...plain.backups!, { timeline: 2, segment: 24, hour: 12 }],
  wal: [
    { timeline: 1, from: 1, to: 19, hour: 0, step: 30 },
    { timeline: 2, from: 20, to: 30, hour: 10, step: 30 },
  ],
  histories: [{ timeline: 2, parents: [[1, 20]], hour: 10 }],
}

describe('after a failover', () => {
  test('recovery goes across, whatever the target', () => {
    expect(select(failover, end)).toMatchObject({ timeline: 2, timelineSetting: '2' })
    expect(select(failover, end).record.id).toBe(idOf(2, 24, 12))
    expect(select(failover, time(11))).toMatchObject({ timeline: 2 })
    expect(select(failover, time(11)).record.id).toBe(idOf(1, 18, 9))
    expect(select(failover, lsn(21)).record.id).toBe(idOf(1, 18, 9))
    // Committed on timeline 2 shortly before its history file was archived.
    expect(select(failover, time(9, 59)).timeline).toBe(2)
  })

  test('a timeline of its own can be asked for, if it is known and has the backup', () => {
    expect(select(failover, end, { targetTimeline: 1 })).toMatchObject({ timeline: 1, timelineSetting: '1' })
    expect(select(failover, end, { targetTimeline: 'latest' })).toMatchObject({ timelineSetting: 'latest' })
    expect(refusal(failover, end, { targetTimeline: 7 }).reason).toBe('nothing of it is archived')
    const other = refusal(failover, end, { targetTimeline: 1, backup: idOf(2, 24, 12) })
    expect(other.reason).toMatch(/not part of its history/)
  })

  test('a standby follows the latest timeline unless told otherwise', () => {
    expect(select(failover, end, { standby: true }).timelineSetting).toBe('latest')
    expect(select(failover, end, { standby: true, targetTimeline: 2 }).timelineSetting).toBe('2')
  })

  test('a backup whose own history file is not archived recovers along "current"', () => {
    const world = { ...failover, histories: [], backups: failover.backups!.slice(3) }
    expect(select(world, end)).toMatchObject({ timeline: 2, timelineSetting: 'current' })
  })

  test('a timeline that no backup leads to is no rival, however late its WAL came', () => {
    const wal = [{ timeline: 1, from: 20, to: 21, hour: 15 }, failover.wal![1]!]
    const world = { histories: [], backups: failover.backups!.slice(3), wal }
    expect(select(world, end)).toMatchObject({ timeline: 2, timelineSetting: 'current' })
  })

  test('"immediate" with a backup needs no choice of a timeline', () => {
    const selection = select(failover, { kind: 'immediate' }, { backup: idOf(1, 10, 5) })
    expect(selection).toMatchObject({ timeline: 1, timelineSetting: '1' })
  })
})

/** A copy took over at segment 20 with archive_mode = off, so that its history was never archived; then it archived again. */
const takeover: World = {
  backups: plain.backups!,
  wal: [
    { timeline: 1, from: 1, to: 20, hour: 0, step: 30 },
    { timeline: 2, from: 21, to: 30, hour: 12, step: 30 },
  ],
}

describe('WAL of a newer timeline without its history', () => {
  test('is not dropped silently: the timelines are listed, and what to do', () => {
    const immediate: RecoveryTarget = { kind: 'immediate' }
    for (const target of [end, time(15), time(11), lsn(22), immediate]) {
      const error = refusal(takeover, target)
      expect(error, target.kind).toMatchObject({ code: 'not-found', operation: 'choose a timeline' })
      expect(error.detail).toMatch(/^timeline 1: .*; timeline 2: no history file archived/)
      expect(error.hint).toMatch(/wal-push \(00000002\.history\).*--target-timeline 1/)
    }
    expect(refusal(takeover, end, { standby: true }).code).toBe('not-found')
    expect(refusal(takeover, end, { backup: 'latest' }).code).toBe('not-found')
    expect(refusal(takeover, end, { backup: idOf(1, 2, 1) }).code).toBe('not-found')
    expect(refusal(takeover, end, { targetTimeline: 'latest' }).code).toBe('not-found')
  })

  test('does not matter for a target that it cannot hold, or when another timeline is asked for', () => {
    expect(select(takeover, time(9, 30))).toMatchObject({ timeline: 1, timelineSetting: '1' })
    expect(select(takeover, lsn(20))).toMatchObject({ timeline: 1 })
    expect(select(takeover, end, { targetTimeline: 1 })).toMatchObject({ timeline: 1 })
    const other = refusal(takeover, end, { targetTimeline: 2 })
    expect(other.hint).toMatch(/archive it from pg_wal/)
  })

  test('is chosen once a backup was taken on it, for moments since its WAL came', () => {
    const world = { ...takeover, backups: [...plain.backups!, { timeline: 2, segment: 24, hour: 14 }] }
    expect(select(world, end)).toMatchObject({ timeline: 2, timelineSetting: 'current' })
    expect(select(world, time(9, 30))).toMatchObject({ timeline: 1 })
    expect(refusal(world, time(13)).hint).toContain('--target-timeline')
  })

  test('is recovered once the history was archived', () => {
    const world = { ...takeover, histories: [{ timeline: 2, parents: [[1, 21]] as [number, number][], hour: 16 }] }
    expect(select(world, end)).toMatchObject({ timeline: 2, timelineSetting: '2' })
  })

  test('is a reason to refuse also where the history is known and every backup lies behind the fork', () => {
    const world = { ...takeover, histories: [{ timeline: 2, parents: [[1, 1]] as [number, number][], hour: 11 }] }
    expect(refusal(world, end).reason).toMatch(/WAL of timeline 2 is archived, and no backup leads to it/)
    expect(select(world, end, { backup: idOf(1, 2, 1) })).toMatchObject({ timeline: 1 })
  })
})

test('a branch of known origin that ended before the only backup began is abandoned, but for a standby', () => {
  const world: World = {
    backups: [{ timeline: 1, segment: 20, hour: 12 }],
    wal: [
      { timeline: 1, from: 1, to: 30, hour: 0, step: 30 },
      { timeline: 2, from: 2, to: 3, hour: 1, step: 10 },
    ],
    histories: [{ timeline: 2, parents: [[1, 2]], hour: 1 }],
  }
  expect(select(world, end)).toMatchObject({ timeline: 1 })
  expect(select(world, end, { backup: 'latest' })).toMatchObject({ timeline: 1 })
  expect(refusal(world, end, { standby: true }).code).toBe('not-found')
})

test('a timeline without a history began with its first backup, if its WAL was archived later', () => {
  const world: World = {
    backups: [
      { timeline: 1, segment: 2, hour: 1 },
      { timeline: 2, segment: 24, hour: 12 },
    ],
    wal: [
      { timeline: 1, from: 1, to: 20, hour: 0, step: 30 },
      { timeline: 2, from: 24, to: 30, hour: 14, step: 30 },
    ],
  }
  expect(select(world, time(13))).toMatchObject({ timeline: 2 })
  expect(select(world, time(5))).toMatchObject({ timeline: 1 })
})

/** A copy restored to segment 12 was promoted at 8 o'clock and archived into the original's place, which goes on. */
const copied: World = {
  backups: plain.backups!,
  wal: [
    { timeline: 1, from: 1, to: 30, hour: 0, step: 30 },
    { timeline: 2, from: 12, to: 13, hour: 8, step: 30 },
  ],
  histories: [{ timeline: 2, parents: [[1, 12]], hour: 8 }],
}

describe('a timeline that received WAL after its child had begun', () => {
  test('makes the end ambiguous: the branches are listed', () => {
    for (const target of [end, time(11), lsn(25)]) {
      const error = refusal(copied, target)
      expect(error).toMatchObject({ code: 'not-found', operation: 'choose a timeline' })
      expect(error.detail).toMatch(
        /^timeline 1: .*00000001000000000000001E, .*; timeline 2: left timeline 1 at 0\/C800000/,
      )
      expect(error.hint).toContain('--target-timeline')
    }
  })

  test('is chosen with --target-timeline', () => {
    expect(select(copied, end, { targetTimeline: 1 }).record.id).toBe(idOf(1, 18, 9))
    expect(select(copied, end, { targetTimeline: 2 }).record.id).toBe(idOf(1, 10, 5))
  })

  test('does not matter for a target before the branches part', () => {
    expect(select(copied, time(7)).timeline).toBe(1)
    expect(select(copied, lsn(12))).toMatchObject({ timeline: 2 })
    expect(select(copied, lsn(12)).record.id).toBe(idOf(1, 10, 5))
  })

  test('makes "immediate" ambiguous, unless a timeline or a backup is given', () => {
    const immediate: RecoveryTarget = { kind: 'immediate' }
    for (const backup of [undefined, 'latest']) {
      expect(refusal(copied, immediate, { backup }).operation).toBe('choose a timeline')
      expect(select(copied, immediate, { backup, targetTimeline: 2 }).record.id).toBe(idOf(1, 10, 5))
    }
    expect(select(copied, immediate, { backup: idOf(1, 18, 9) }).timeline).toBe(1)
  })

  test('is no choice for a backup that lies on one of them only', () => {
    expect(select(copied, end, { backup: idOf(1, 18, 9) }).timeline).toBe(1)
  })
})

/** At 11 o'clock the cluster was restored to segment 12 of 6 o'clock and went on from there as timeline 2. */
const rewound: World = {
  backups: [...plain.backups!, { timeline: 2, segment: 14, hour: 13 }],
  wal: [
    { timeline: 1, from: 1, to: 21, hour: 0, step: 30 },
    { timeline: 2, from: 12, to: 16, hour: 12, step: 30 },
  ],
  histories: [{ timeline: 2, parents: [[1, 12]], hour: 11 }],
}

describe('after a recovery in place', () => {
  test('moments before it are those of the old timeline, moments after it those of the new one', () => {
    expect(select(rewound, time(10)).timeline).toBe(1)
    expect(select(rewound, time(10)).record.id).toBe(idOf(1, 18, 9))
    expect(select(rewound, time(12)).timeline).toBe(2)
    expect(select(rewound, time(12)).record.id).toBe(idOf(1, 10, 5))
    expect(select(rewound, end).record.id).toBe(idOf(2, 14, 13))
  })

  test('"immediate" takes no backup of the abandoned branch', () => {
    expect(select(rewound, { kind: 'immediate' }).record.id).toBe(idOf(2, 14, 13))
    expect(select(rewound, { kind: 'immediate' }, { backup: 'latest' }).record.id).toBe(idOf(2, 14, 13))
  })

  test('a backup of the abandoned branch still serves that branch', () => {
    expect(select(rewound, end, { backup: idOf(1, 18, 9) }).timeline).toBe(1)
    expect(select(rewound, lsn(20), { targetTimeline: 1 }).record.id).toBe(idOf(1, 18, 9))
  })
})
