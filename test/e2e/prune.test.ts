import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ClusterLayout } from '../../src/core/archive-layout.ts'
import { FakeArchive } from '../retention/fake-archive.ts'
import { june, threeTimelines } from '../retention/three-timelines.ts'
import { binDirectory } from '../support/installation.ts'
import { waitFor } from '../support/poll.ts'
import { finish, killGroup, type Result, run, start } from '../support/processes.ts'
import { giveToServersUser } from '../support/servers-user.ts'
import { temporaryDirectory } from '../support/temporary.ts'
import { walSegment, walSegmentName } from '../support/wal-file.ts'

interface Planned {
  readonly key: string
  readonly action: 'keep' | 'remove'
  readonly reason: string
}

function archiveDirectory(...archives: FakeArchive[]): string {
  const root = join(temporaryDirectory(), 'archive')
  mkdirSync(root)
  for (const archive of archives) archive.writeTo(root)
  giveToServersUser(root)
  return root
}

function prune(root: string, ...options: string[]): Promise<Result> {
  return run([join(binDirectory(), 'wal-prune'), '--archive', `file://${root}`, ...options])
}

function filesBelow(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort()
}

async function plannedBy(root: string, ...options: string[]): Promise<Planned[]> {
  const result = await prune(root, '--dry-run', '--json', ...options)
  return JSON.parse(result.stdout).systemIdentifiers[0].objects
}

function keys(planned: readonly Planned[], action: Planned['action']): string[] {
  return planned
    .filter((each) => each.action === action)
    .map(({ key }) => key)
    .sort()
}

/** A cluster that was upgraded or set up again under the same name, and has no backup. */
function otherCluster(): FakeArchive {
  const archive = new FakeArchive(undefined, new ClusterLayout('main', '7400000000000000001'), june(1))
  archive.segment(1, 1, june(2))
  return archive
}

const golden = (name: string) => readFileSync(new URL(`../retention/golden/${name}.txt`, import.meta.url), 'utf8')

describe('wal-prune', () => {
  test.each([
    ['both-lines-live', 15],
    ['after-recovery', 21],
  ])('--dry-run prints the table %s and removes nothing', async (name, dayOfJune) => {
    const root = archiveDirectory(threeTimelines(june(dayOfJune)))
    const before = filesBelow(root)
    const result = await prune(root, '--dry-run')
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(result.stdout).toBe(`cluster "main" in file://${root}\n\n${golden(name)}dry run: nothing is removed\n`)
    expect(filesBelow(root)).toEqual(before)
  })

  test('removes what --dry-run --json said, and then nothing more', async () => {
    const root = archiveDirectory(threeTimelines(june(21)))
    const planned = await plannedBy(root)
    expect([...keys(planned, 'keep'), ...keys(planned, 'remove')].sort()).toEqual(filesBelow(root))
    expect(planned.every(({ reason }) => reason.length > 0)).toBe(true)
    const result = await prune(root)
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(result.stdout).toContain(golden('after-recovery'))
    expect(result.stdout).toMatch(/removed: 34 objects\n$/)
    expect(filesBelow(root)).toEqual(keys(planned, 'keep'))
    const again = await prune(root)
    expect(again.code).toBe(0)
    expect(again.stdout).toMatch(/removed: 0 objects\n$/)
    expect(filesBelow(root)).toEqual(keys(planned, 'keep'))
  })

  test('--window and --keep-base change what is kept', async () => {
    const root = archiveDirectory(threeTimelines(june(21)))
    expect(keys(await plannedBy(root, '--window', '20d'), 'remove')).toHaveLength(3)
    const backups = async (...options: string[]) =>
      keys(await plannedBy(root, ...options), 'keep').filter((key) => key.endsWith('backup.json')).length
    expect(await backups('--keep-base', '2')).toBe(2)
    expect(await backups('--keep-base', '3')).toBe(3)
    expect(await prune(root, '--keep-base', '0')).toMatchObject({ code: 2 })
    expect(await prune(root, '--window', '7')).toMatchObject({ code: 2 })
  })

  test('two at the same time harm nothing', async () => {
    const root = archiveDirectory(threeTimelines(june(21)))
    const kept = keys(await plannedBy(root), 'keep')
    const results = await Promise.all([prune(root), prune(root), prune(root)])
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0])
    expect(filesBelow(root)).toEqual(kept)
  })

  test('during pushes into the very directories that it empties, every pushed segment stays', async () => {
    const rounds = [4, 5, 6, 7, 8]
    const archive = threeTimelines(june(21))
    const root = archiveDirectory(archive)
    const wal = temporaryDirectory()
    const push = async (timeline: number, segment: number): Promise<string> => {
      const systemIdentifier = BigInt(archive.layout.systemIdentifier)
      const page = { systemIdentifier, timeline, address: archive.lsn(segment) }
      const path = join(wal, walSegmentName(page))
      writeFileSync(path, walSegment(page))
      const options = ['--system-id', archive.layout.systemIdentifier, '--state-dir', wal]
      const argv = [join(binDirectory(), 'wal-push'), '--archive', `file://${root}`, ...options, path]
      expect(await run(argv)).toMatchObject({ code: 0 })
      return archive.layout.segment(walSegmentName(page))
    }
    expect(await prune(root)).toMatchObject({ code: 0 })
    const pushed: string[] = []
    for (const timeline of rounds) {
      const doomed = new FakeArchive(undefined, undefined, june(0))
      doomed.objects.clear()
      for (let segment = 1; segment < 16; segment++) doomed.segment(timeline, segment, june(1))
      doomed.writeTo(root)
      giveToServersUser(root)
      const [pruned, ...keys] = await Promise.all([prune(root), push(timeline, 100), push(timeline, 101)])
      expect(pruned.code).toBe(0)
      pushed.push(...keys)
    }
    expect(await prune(root)).toMatchObject({ code: 0 })
    const remaining = filesBelow(root)
    expect(remaining).toEqual(expect.arrayContaining(pushed))
    expect(remaining.filter((key) => /\/0000000[4-8]0000000000/.test(key))).toEqual(pushed)
  })

  test('killed while it removes, it leaves only backups that count, and the next run finishes', async () => {
    const archive = threeTimelines(june(21))
    for (let segment = 1; segment <= 3000; segment++) archive.segment(4, segment, june(1))
    for (let hour = 0; hour < 24; hour++) {
      const positions = { timeline: 1, start: archive.lsn(5, 40), stop: archive.lsn(5, 90) }
      archive.backup({ ...positions, stoppedAt: june(1, 5 + hour) })
    }
    const root = archiveDirectory(archive)
    const planned = await plannedBy(root)
    const kept = keys(planned, 'keep')
    const cutShort: string[] = []
    for (let round = 0; round < 5; round++) {
      const doomed = keys(planned, 'remove').filter((key) => existsSync(join(root, key)))
      const isRemoved = (key: string) => !existsSync(join(root, key))
      const victim = start([join(binDirectory(), 'wal-prune'), '--archive', `file://${root}`])
      const ended = finish(victim, 'wal-prune')
      const progress = () => doomed.some(isRemoved) || victim.exitCode !== null
      await waitFor('wal-prune to remove something', progress, { interval: 1 })
      killGroup(victim.pid!)
      const { signal } = await ended
      if (signal === 'SIGKILL') cutShort.push(`round ${round}: ${doomed.filter(isRemoved).length} removed`)
      const next = await prune(root, '--dry-run')
      expect(next.code).toBe(0)
      expect(next.stdout).not.toContain('does not count')
    }
    expect(cutShort).not.toEqual([])
    expect(await prune(root)).toMatchObject({ code: 0 })
    expect(filesBelow(root)).toEqual(kept)
  })

  test('sweeps temporary files that are older than a day, and only those', async () => {
    const archive = threeTimelines(june(21))
    const root = archiveDirectory(archive)
    const segment = archive.segmentKey(3, 0x21)
    const [young, old] = [`${segment}.0123456789abcdef.tmp`, `${segment}.fedcba9876543210.tmp`]
    for (const key of [young, old]) writeFileSync(join(root, key), 'x')
    utimesSync(join(root, old), june(21), june(21))
    giveToServersUser(root)
    const result = await prune(root)
    expect(result).toMatchObject({ code: 0 })
    expect(result.stdout).toMatch(/removed: 34 objects, and 1 leftover of dead writers\n$/)
    expect(filesBelow(root).filter((name) => name.endsWith('.tmp'))).toEqual([young])
  })
})

describe('wal-prune removes nothing', () => {
  test('and ends with 10 when no backup counts', async () => {
    const archive = threeTimelines(june(21))
    for (const key of archive.objects.keys()) if (key.includes('part-')) archive.delete(key)
    const root = archiveDirectory(archive)
    const before = filesBelow(root)
    const result = await prune(root)
    expect(result.code).toBe(10)
    expect(result.stderr).toContain('no backup counts')
    expect(result.stdout).toContain('part-00001.tar.zst is missing')
    expect(filesBelow(root)).toEqual(before)
    expect(await prune(root, '--dry-run')).toMatchObject({ code: 10 })
  })

  test('where an object is unknown, and names it', async () => {
    const archive = threeTimelines(june(21))
    const root = archiveDirectory(archive)
    for (const key of [`${archive.layout.prefix}wal/notes.txt`, 'main/notes.txt', 'main/lost+found/notes.txt']) {
      mkdirSync(join(root, key, '..'), { recursive: true })
      writeFileSync(join(root, key), 'x')
      const before = filesBelow(root)
      const result = await prune(root)
      expect(result.code).toBe(11)
      expect(result.stderr).toContain(key)
      expect(filesBelow(root)).toEqual(before)
      rmSync(join(root, key))
    }
  })

  test.each([
    ['backup.json', /backup\.json$/],
    ['history', /history\/00000003/],
    ['cluster.json', /cluster\.json$/],
  ])('where a %s cannot be read, and names it', async (_, pattern) => {
    const archive = threeTimelines(june(21))
    const root = archiveDirectory(archive)
    const key = [...archive.objects.keys()].find((each) => pattern.test(each))!
    writeFileSync(join(root, key), 'damaged')
    const before = filesBelow(root)
    const result = await prune(root)
    expect(result.code).toBe(6)
    expect(result.stderr).toContain(key)
    expect(filesBelow(root)).toEqual(before)
  })

  test('where there is no archive, no cluster, or no such system identifier', async () => {
    const root = archiveDirectory(threeTimelines(june(21)))
    expect(await prune(`${root}/nowhere`)).toMatchObject({ code: 4 })
    expect(await prune(root, '--cluster', 'other')).toMatchObject({ code: 4 })
    expect(await prune(root, '--system-id', '42')).toMatchObject({ code: 4 })
    expect(await prune(root, '--system-id', 'x')).toMatchObject({ code: 2 })
    expect(await prune(root, '--dryrun')).toMatchObject({ code: 2 })
  })
})

describe('several system identifiers under one name', () => {
  test('each is decided by itself; one without a backup gives 10 and the others are pruned', async () => {
    const archive = threeTimelines(june(21))
    const root = archiveDirectory(archive, otherCluster())
    const result = await prune(root)
    expect(result.code).toBe(10)
    expect(result.stdout).toContain('removed: 34 objects')
    expect(filesBelow(root).filter((key) => key.includes('7400000000000000001'))).toHaveLength(2)
  })

  test('one that fails is left alone, the others are pruned, and the exit code says so', async () => {
    const archive = threeTimelines(june(21))
    const other = otherCluster()
    const root = archiveDirectory(archive, other)
    writeFileSync(join(root, `${archive.layout.prefix}notes.txt`), 'x')
    const result = await prune(root, '--json')
    expect(result.code).toBe(11)
    const [first, second] = JSON.parse(result.stdout).systemIdentifiers
    expect(first).toMatchObject({
      systemIdentifier: archive.layout.systemIdentifier,
      error: { code: 'unknown-object' },
    })
    expect(second).toMatchObject({ systemIdentifier: other.layout.systemIdentifier, outcome: 'no-backup' })
  })

  test('--system-id chooses one', async () => {
    const archive = threeTimelines(june(21))
    const root = archiveDirectory(archive, otherCluster())
    const result = await prune(root, '--system-id', archive.layout.systemIdentifier)
    expect(result).toMatchObject({ code: 0 })
    expect(result.stdout).not.toContain('7400000000000000001')
  })

  test('--forget-system-id removes one with its last backup, and nothing else', async () => {
    const archive = threeTimelines(june(21))
    const other = otherCluster()
    const root = archiveDirectory(archive, other)
    const dry = await prune(root, '--forget-system-id', archive.layout.systemIdentifier, '--dry-run')
    expect(dry.code).toBe(0)
    expect(existsSync(join(root, archive.layout.record))).toBe(true)
    const result = await prune(root, '--forget-system-id', archive.layout.systemIdentifier)
    expect(result.code).toBe(0)
    expect(filesBelow(root)).toEqual([...other.objects.keys()].sort())
    expect(await prune(root, '--forget-system-id', archive.layout.systemIdentifier)).toMatchObject({ code: 2 })
    const both = ['--forget-system-id', other.layout.systemIdentifier, '--system-id', '42']
    expect(await prune(root, ...both)).toMatchObject({ code: 2 })
    expect(filesBelow(root)).toEqual([...other.objects.keys()].sort())
  })
})
