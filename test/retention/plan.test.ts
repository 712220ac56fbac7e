import { describe, expect, test } from 'vitest'
import { backupsOf, day, keptKeys, keptSegments, range, reasonFor, removedKeys, Scenario } from './scenario.ts'

describe('one timeline', () => {
  test('keeps the backups of the window, the newest one before it, and WAL from its start on', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 30, 1)
    const [a, b, c] = [archive.base(1, 5, 5), archive.base(1, 15, 15), archive.base(1, 25, 25)]
    const plan = await archive.plan()
    expect(plan.window).toEqual({ start: day(23), end: day(30) })
    expect(backupsOf(plan)).toEqual({ kept: [b, c], removed: [a] })
    expect(keptSegments(plan, 1)).toEqual(range(15, 30))
  })

  test('a backup that ended exactly when the window begins does not yet replace the one before', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 30, 1)
    const [a, b] = [archive.base(1, 5, 5), archive.base(1, 23, 23)]
    expect(backupsOf(await archive.plan())).toEqual({ kept: [a, b], removed: [] })
  })

  test('a cluster that has been down for weeks keeps its week', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 30, 1)
    const [a, b, c] = [archive.base(1, 5, 5), archive.base(1, 15, 15), archive.base(1, 28, 28)]
    expect(backupsOf(await archive.plan({ now: 90 }))).toEqual({ kept: [b, c], removed: [a] })
  })

  test('WAL dated in the future does not move the window beyond now', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 30, 1)
    archive.segment(1, 31, day(400))
    const [a, b] = [archive.base(1, 5, 5), archive.base(1, 15, 15)]
    const plan = await archive.plan({ now: 30 })
    expect(plan.window?.end).toEqual(day(30))
    expect(backupsOf(plan)).toEqual({ kept: [b], removed: [a] })
  })

  test('a backup dated in the future replaces none', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 30, 1)
    const [a, b] = [archive.base(1, 5, 5), archive.base(1, 15, 300)]
    expect(backupsOf(await archive.plan({ now: 30 })).kept).toEqual([a, b])
  })

  test("a backup is as old as the later of the server's and the archive's clocks say", async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 30, 1)
    const a = archive.base(1, 5, 5)
    const slow = { timeline: 1, start: archive.lsn(15, 40), stop: archive.lsn(15, 90) }
    const b = archive.backup({ ...slow, stoppedAt: day(15), recordedAt: day(24) })
    expect(backupsOf(await archive.plan()).kept).toEqual([a, b])
  })

  test('the last backup stays, however old, and WAL before it goes', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 300, 1)
    const a = archive.base(1, 5, 5)
    const plan = await archive.plan()
    expect(backupsOf(plan)).toEqual({ kept: [a], removed: [] })
    expect(keptSegments(plan, 1)).toEqual(range(5, 300))
  })

  test('--keep-base keeps at least so many, the newest, with all WAL from the oldest of them on', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 60, 1)
    const [a, b, c, d] = [5, 15, 25, 35].map((segment) => archive.base(1, segment, segment))
    expect(backupsOf(await archive.plan({ keepBase: 1 })).kept).toEqual([d])
    const plan = await archive.plan({ keepBase: 3 })
    expect(backupsOf(plan)).toEqual({ kept: [b, c, d], removed: [a] })
    expect(keptSegments(plan, 1)).toEqual(range(15, 60))
    expect(backupsOf(await archive.plan({ keepBase: 9 })).removed).toEqual([])
  })

  test('a window longer than history keeps every backup', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 30, 1)
    const [a, b] = [archive.base(1, 5, 5), archive.base(1, 15, 15)]
    const plan = await archive.plan({ window: Number.MAX_SAFE_INTEGER / 86_400_000 })
    expect(backupsOf(plan)).toEqual({ kept: [a, b], removed: [] })
    expect(plan.window?.start.getTime()).toBeLessThan(0)
  })

  test('what is older is known by time, not by name', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 30, 1)
    const positions = { timeline: 1, start: archive.lsn(5, 40), stop: archive.lsn(5, 90) }
    const nameSaysNewer = archive.backup({ ...positions, startedAt: day(500), stoppedAt: day(5) })
    const b = archive.base(1, 15, 15)
    expect(backupsOf(await archive.plan())).toEqual({ kept: [b], removed: [nameSaysNewer] })
  })
})

describe('branches', () => {
  test('an abandoned branch goes with its backups once it has no WAL in the window', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 40, 1)
    archive.base(1, 5, 5)
    archive.fork(2, [[1, 8]], 8)
    archive.wal(2, 8, 14, 9)
    const onBranch = archive.base(2, 12, 13)
    const b = archive.base(1, 30, 30)
    const plan = await archive.plan()
    expect(backupsOf(plan).kept).toEqual([b])
    expect(backupsOf(plan).removed).toContain(onBranch)
    expect(keptSegments(plan, 2)).toEqual([])
    expect(keptKeys(plan)).toContain(archive.layout.history(2))
  })

  test('a backup taken on an ancestor after the fork does not serve the child', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 20, 1)
    const [a, afterFork] = [archive.base(1, 5, 5), archive.base(1, 15, 15)]
    archive.fork(2, [[1, 10]], 20)
    archive.wal(2, 10, 40, 20)
    const plan = await archive.plan()
    expect(backupsOf(plan)).toEqual({ kept: [a], removed: [afterFork] })
    expect(keptSegments(plan, 2)).toEqual(range(10, 40))
    expect(keptSegments(plan, 1)).toEqual(range(5, 20))
  })

  test('a backup that ended just at the fork serves the child; one byte later it does not', async () => {
    const endingAt = async (bytesAfterFork: bigint) => {
      const archive = new Scenario()
      archive.wal(1, 1, 20, 1)
      const before = archive.base(1, 5, 5)
      const start = archive.lsn(10, 40)
      const stop = archive.lsn(10, 2 ** 19) + bytesAfterFork
      const edge = archive.backup({ timeline: 1, start, stop, stoppedAt: day(10) })
      archive.fork(2, [[1, 10]], 20)
      archive.wal(2, 10, 40, 20)
      return { before, edge, ...backupsOf(await archive.plan()) }
    }
    const at = await endingAt(0n)
    expect(at.kept).toEqual([at.edge])
    const beyond = await endingAt(1n)
    expect(beyond.kept).toEqual([beyond.before])
  })

  test('after a recovery to below an older backup the lowest start counts, not the oldest backup', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 20, 1)
    archive.base(1, 2, 2)
    const high = archive.base(1, 18, 18)
    archive.fork(2, [[1, 10]], 20)
    archive.wal(2, 10, 30, 20)
    const low = archive.base(2, 12, 22)
    const plan = await archive.plan({ keepBase: 2 })
    expect(backupsOf(plan).kept).toEqual([high, low])
    expect(keptSegments(plan, 1)).toEqual(range(12, 20))
    expect(keptSegments(plan, 2)).toEqual(range(12, 30))
  })

  test('each live timeline keeps its own newest backup', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 60, 1)
    const common = archive.base(1, 5, 5)
    archive.fork(2, [[1, 20]], 20)
    archive.wal(2, 20, 59, 21)
    const first = archive.base(1, 30, 30)
    const second = archive.base(2, 30, 31)
    expect(backupsOf(await archive.plan())).toEqual({ kept: [first, second], removed: [common] })
  })

  test('a timeline of which only the history has arrived is live', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 30, 1)
    const [a, b] = [archive.base(1, 5, 5), archive.base(1, 15, 15)]
    archive.fork(2, [[1, 10]], 30)
    expect(backupsOf(await archive.plan())).toEqual({ kept: [a, b], removed: [] })
  })

  test('a .partial file inside the window makes its timeline live', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 10, 1)
    const a = archive.base(1, 5, 5)
    archive.sideFile(1, 11, 'partial', day(28))
    archive.fork(2, [[1, 3]], 1)
    archive.wal(2, 3, 30, 3)
    const b = archive.base(2, 12, 12)
    expect(backupsOf(await archive.plan()).kept).toEqual([a, b])
  })

  test('a grandchild is served along its own line', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 20, 1)
    const [a, sibling] = [archive.base(1, 5, 5), archive.base(1, 15, 15)]
    archive.fork(2, [[1, 10]], 20)
    archive.wal(2, 10, 20, 20)
    const tooHigh = archive.base(2, 19, 30)
    archive.fork(
      3,
      [
        [1, 10],
        [2, 15],
      ],
      31,
    )
    archive.wal(3, 15, 45, 31)
    expect(backupsOf(await archive.plan())).toEqual({ kept: [a], removed: [sibling, tooHigh] })
  })

  test('without its history file a timeline may descend from anything below: every lower backup is kept', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 20, 1)
    const [a, b] = [archive.base(1, 5, 5), archive.base(1, 15, 15)]
    archive.wal(3, 10, 40, 20)
    const plan = await archive.plan()
    expect(backupsOf(plan)).toEqual({ kept: [a, b], removed: [] })
    expect(plan.notes.join()).toContain('timeline 3 has no history file')
  })

  test('without its history file a timeline is served by its own backup', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 20, 1)
    const a = archive.base(1, 5, 5)
    archive.wal(3, 10, 40, 20)
    const own = archive.base(3, 12, 22)
    expect(backupsOf(await archive.plan())).toEqual({ kept: [own], removed: [a] })
  })

  test('the WAL of the window stays on a live timeline that no backup leads to', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 60, 1)
    archive.base(1, 50, 50)
    archive.fork(2, [[1, 20]], 50)
    archive.wal(2, 20, 30, 50)
    const plan = await archive.plan()
    expect(keptSegments(plan, 2)).toEqual(range(23, 30))
    expect(keptSegments(plan, 1)).toEqual(range(50, 60))
    expect(plan.notes.join()).toContain('no backup that counts leads to timeline 2')
  })
})

describe('backups that do not count', () => {
  function threeBackups() {
    const archive = new Scenario()
    archive.wal(1, 1, 40, 1)
    const [a, b, c] = [archive.base(1, 5, 5), archive.base(1, 15, 15), archive.base(1, 25, 25)]
    return { archive, a, b, c }
  }

  test.each([
    ['a part is missing', (archive: Scenario, id: string) => archive.delete(archive.layout.part(id, 1))],
    [
      'a part was cut',
      (archive: Scenario, id: string) => archive.add(archive.layout.part(id, 1), day(25), { size: 1 }),
    ],
    ['the manifest is missing', (archive: Scenario, id: string) => archive.delete(archive.layout.manifest(id))],
    ['the list of files is missing', (archive: Scenario, id: string) => archive.delete(archive.layout.files(id))],
    ['its WAL is missing', (archive: Scenario) => archive.delete(archive.segmentKey(1, 25))],
  ])('%s: it stands in for none and is kept', async (_, damage) => {
    const { archive, a, b, c } = threeBackups()
    expect(backupsOf(await archive.plan())).toEqual({ kept: [c], removed: [a, b] })
    damage(archive, c)
    const plan = await archive.plan()
    expect(backupsOf(plan)).toEqual({ kept: [b, c], removed: [a] })
    expect(reasonFor(plan, c)).toMatch(/does not count/)
    expect(plan.notes.join()).toContain(`backup ${c} does not count`)
  })

  test('its WAL must reach to the stop of the backup', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 40, 1)
    const a = archive.base(1, 5, 5)
    const b = archive.backup({ timeline: 1, start: archive.lsn(20, 40), stop: archive.lsn(23), stoppedAt: day(22) })
    expect(backupsOf(await archive.plan())).toEqual({ kept: [b], removed: [a] })
    archive.delete(archive.segmentKey(1, 22))
    expect(backupsOf(await archive.plan())).toEqual({ kept: [a, b], removed: [] })
  })

  test('WAL of its time on another timeline does not help', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 20, 1)
    const a = archive.base(1, 5, 5)
    archive.fork(2, [[1, 10]], 20)
    archive.wal(2, 12, 50, 20)
    const b = archive.base(2, 11, 21)
    expect(backupsOf(await archive.plan()).kept).toEqual([a, b])
  })

  test('it does not count for --keep-base', async () => {
    const { archive, a, b, c } = threeBackups()
    archive.delete(archive.layout.part(c, 1))
    const young = archive.base(1, 39, 39)
    archive.delete(archive.layout.part(young, 1))
    expect(backupsOf(await archive.plan({ keepBase: 2 })).kept).toEqual([a, b, c, young])
  })

  test('an old one keeps just its own WAL', async () => {
    const { archive, a, c } = threeBackups()
    archive.delete(archive.layout.part(a, 1))
    archive.fork(2, [[1, 3]], 3)
    archive.wal(2, 3, 8, 3)
    const plan = await archive.plan()
    expect(backupsOf(plan).kept).toEqual([a, c])
    expect(keptSegments(plan, 1)).toEqual([5, ...range(25, 40)])
    expect(keptSegments(plan, 2)).toEqual([])
  })

  test('one that would serve a live timeline if it were repaired holds back the WAL after it', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 40, 1)
    const broken = archive.base(1, 5, 5)
    archive.delete(archive.layout.part(broken, 1))
    archive.base(1, 36, 36)
    expect(keptSegments(await archive.plan(), 1)).toEqual(range(5, 40))
  })

  test('where none that counts serves a live timeline, each one that may be repaired holds back the WAL after it', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 40, 1)
    for (const segment of [5, 9]) archive.delete(archive.layout.part(archive.base(1, segment, segment), 1))
    archive.base(1, 36, 36)
    expect(keptSegments(await archive.plan(), 1)).toEqual(range(5, 40))
  })

  test('one inside the window holds back WAL', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 40, 1)
    const broken = archive.base(1, 36, 36)
    archive.delete(archive.layout.part(broken, 1))
    archive.base(1, 38, 38)
    expect(keptSegments(await archive.plan(), 1)).toEqual(range(36, 40))
  })

  test('with no counting backup nothing is removed, and the outcome says so', async () => {
    const { archive, a, b, c } = threeBackups()
    archive.unfinishedBackup(1, 30, day(2))
    for (const id of [a, b, c]) archive.delete(archive.layout.part(id, 1))
    const plan = await archive.plan()
    expect(plan.outcome).toBe('no-backup')
    expect(removedKeys(plan)).toEqual([])
    expect(keptKeys(plan)).toEqual(new Set(archive.objects.keys()))
    expect(plan.abandonedBefore).toBeUndefined()
    expect(plan.notes.join('\n')).toContain('nothing is removed')
  })

  test('an archive without backups, or with nothing at all, loses nothing', async () => {
    const archive = new Scenario()
    expect(await archive.plan()).toMatchObject({ outcome: 'no-backup' })
    archive.wal(1, 1, 40, 1)
    const plan = await archive.plan()
    expect(plan.outcome).toBe('no-backup')
    expect(removedKeys(plan)).toEqual([])
  })
})

describe('incomplete backups', () => {
  test('are swept when their newest object is older than a day', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 40, 1)
    archive.base(1, 36, 36)
    const old = archive.unfinishedBackup(1, 37, day(37), day(38.9))
    const young = archive.unfinishedBackup(1, 38, day(35), day(39.1))
    expect(backupsOf(await archive.plan({ now: 40 }))).toMatchObject({
      removed: [old],
      kept: expect.arrayContaining([young]),
    })
  })

  test('one in progress holds back WAL from its start segment, a swept one does not', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 40, 1)
    archive.base(1, 30, 30)
    archive.fork(2, [[1, 9]], 40)
    archive.unfinishedBackup(2, 10, day(40))
    expect(keptSegments(await archive.plan({ now: 40.5 }), 1)).toEqual(range(10, 40))
    expect(keptSegments(await archive.plan({ now: 41.5 }), 1)).toEqual(range(30, 40))
  })

  test('do not stand in for a complete one', async () => {
    const archive = new Scenario()
    archive.wal(1, 1, 40, 1)
    const a = archive.base(1, 5, 5)
    archive.unfinishedBackup(1, 20, day(20))
    expect(backupsOf(await archive.plan({ now: 40 })).kept).toEqual([a])
  })
})

test('.partial and .backup files go and stay with the segments around them', async () => {
  const archive = new Scenario()
  archive.wal(1, 1, 40, 1)
  archive.base(1, 30, 30)
  const doomed = [archive.sideFile(1, 10, 'partial', day(10)), archive.sideFile(1, 29, 'backup', day(29))]
  const kept = [archive.sideFile(1, 30, 'backup', day(30)), archive.sideFile(1, 35, 'partial', day(35))]
  const plan = await archive.plan()
  expect(removedKeys(plan)).toEqual(expect.arrayContaining(doomed))
  expect([...keptKeys(plan)]).toEqual(expect.arrayContaining(kept))
})

test('every object is in the plan exactly once', async () => {
  const archive = new Scenario()
  archive.wal(1, 1, 40, 1)
  archive.base(1, 5, 5)
  archive.base(1, 30, 30)
  archive.unfinishedBackup(1, 37, day(37))
  archive.sideFile(1, 9, 'backup', day(9))
  archive.fork(2, [[1, 20]], 20)
  archive.wal(2, 20, 25, 21)
  const plan = await archive.plan()
  const all = plan.entries.flatMap((entry) => [...entry.objects()])
  expect(all.map(({ key }) => key).sort()).toEqual([...archive.objects.keys()].sort())
  for (const { key, size, modified } of all) expect(archive.objects.get(key)).toMatchObject({ size, modified })
  expect(plan.entries.reduce((sum, { count }) => sum + count, 0)).toBe(all.length)
})
