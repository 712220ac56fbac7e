/** What `wal-fetch` tells a live server decides whether it opens, waits or stops. */
import { appendFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { createArchive, type TestArchive } from '../support/archive.ts'
import { type Cluster, createCluster } from '../support/cluster.ts'
import { binDirectory } from '../support/installation.ts'
import { badBuild, coldCopy, recoveryOf } from '../support/recovery.ts'
import { filesBelow } from '../support/tree.ts'

const batches = 4
const rowsPerBatch = 1000

let archive: TestArchive
let primary: Cluster
let copy: string

/** Inserts a batch and archives the segment it is in. */
async function writeBatch(): Promise<string> {
  await primary.query(`insert into numbers select generate_series(1, ${rowsPerBatch})`)
  const segment = await primary.switchWal()
  await primary.waitUntilArchived(segment)
  return segment
}

const rows = (cluster: Cluster) => cluster.value<number>('select count(*)::int from numbers')

/** The archived object of the segment that holds the second batch: neither the first nor the last one. */
let middle: string

beforeAll(async () => {
  archive = createArchive()
  primary = await createCluster({ version: 18, settings: archive.settings })
  await primary.query('create table numbers (n int)')
  await primary.stop()
  copy = await coldCopy(primary.dataDirectory)
  await primary.start()
  const segments: string[] = []
  for (let batch = 0; batch < batches; batch++) segments.push(await writeBatch())
  middle = join(archive.root, filesBelow(archive.root).find((file) => file.includes(segments[1]!))!)
})

/** Does something while the archive is not where it should be, and puts it back. */
async function whileMovedAway(path: string, work: () => Promise<void>): Promise<void> {
  renameSync(path, `${path}.away`)
  try {
    await work()
  } finally {
    renameSync(`${path}.away`, path)
  }
}

const recovery = (signal: 'recovery.signal' | 'standby.signal', restoreCommand = archive.restoreCommand) =>
  recoveryOf(copy, { signal, restoreCommand })

describe('with recovery.signal', () => {
  test('absence at the end of the archive ends recovery, with every row', async () => {
    const server = await recovery('recovery.signal')
    await server.start()
    await server.waitForPromotion()
    expect(await rows(server)).toBe(batches * rowsPerBatch)
    await server.stop()
  })

  test('an archive that is moved away stops the server, which opens with every row when it is back', async () => {
    const server = await recovery('recovery.signal')
    await whileMovedAway(archive.root, async () => {
      const { log } = await server.startAndFail()
      expect(log).toMatch(/FATAL: .*restore command.*255|FATAL: .*could not restore file/)
      expect(log).toMatch(/wal-fetch.*ERROR.*\n(.*\n)*?.*HINT {2}/)
    })
    expect(existsSync(join(server.dataDirectory, 'recovery.signal'))).toBe(true)
    await server.start()
    await server.waitForPromotion()
    expect(await rows(server)).toBe(batches * rowsPerBatch)
    await server.stop()
  })

  test('an empty mount point in place of the archive stops the server', async () => {
    const cluster = join(archive.root, 'main')
    const server = await recovery('recovery.signal')
    await whileMovedAway(cluster, async () => {
      const { log } = await server.startAndFail()
      expect(log).toMatch(/there is no main\/\d+\/cluster\.json/)
      expect(log).toMatch(/FATAL/)
    })
  })

  test('a hole is not the end: the server stops, and the message names the segment and what comes after', async () => {
    const server = await recovery('recovery.signal')
    await whileMovedAway(middle, async () => {
      const { log } = await server.startAndFail()
      expect(log).toMatch(/the archived WAL has a hole: [0-9A-F]{24} is missing, and [0-9A-F]{24} is archived/)
      expect(log).toMatch(/FATAL/)
      expect(log).not.toMatch(/selected new timeline/)
    })
    await server.start()
    await server.waitForPromotion()
    expect(await rows(server)).toBe(batches * rowsPerBatch)
    await server.stop()
  })

  test.each([
    ['the header', () => 12],
    ['the first frame', () => 600],
    ['the tail', (size: number) => size - 2],
  ])('an object with a changed byte in %s stops the server', async (_, position) => {
    const whole = readFileSync(middle)
    const server = await recovery('recovery.signal')
    const changed = Buffer.from(whole)
    const at = position(whole.length)
    changed[at] = changed[at]! ^ 0xff
    rmSync(middle)
    writeFileSync(middle, changed, { mode: 0o644 })
    try {
      const { log } = await server.startAndFail()
      expect(log).toMatch(/ERROR.*000000010000/)
      expect(log).toMatch(/FATAL/)
      expect(log).not.toMatch(/selected new timeline/)
    } finally {
      rmSync(middle)
      writeFileSync(middle, whole, { mode: 0o644 })
    }
  })

  test.each([
    ['never settles', 'await new Promise(() => {})'],
    ['throws', 'throw new Error("planted")'],
    ['ends in 0 without a result', ''],
    ['ends in 1', 'process.exit(1)'],
    ['does not parse', 'if ('],
    ['kills itself', 'process.kill(process.pid, "SIGKILL")'],
  ])('a build that %s stops the server instead of opening it', async (_, source) => {
    const bin = badBuild(binDirectory(), 'wal-fetch', source)
    const server = await recovery('recovery.signal', archive.restoreCommand.replace(binDirectory(), bin))
    const { log } = await server.startAndFail()
    expect(log).toMatch(/FATAL/)
    expect(log).not.toMatch(/selected new timeline/)
  })

  test('a fast shutdown does not wait for the retries of wal-fetch', async () => {
    const server = await recovery('recovery.signal')
    await whileMovedAway(middle, async () => {
      await server.start({ wait: false })
      await server.waitForLog(/has a hole.*trying again/)
      const begun = performance.now()
      await server.stop('fast')
      expect(performance.now() - begun).toBeLessThan(8000)
    })
    expect(server.logText()).not.toMatch(/selected new timeline/)
  })
})

describe('on a standby', () => {
  test('an outage is lived through, and what was archived meanwhile arrives', async () => {
    const server = await recovery('standby.signal')
    await server.start()
    const expected = (await rows(primary)) + rowsPerBatch
    await whileMovedAway(archive.root, async () => {
      await server.waitForLog(/wal-fetch.*ERROR/)
      const seen = server.logText().length
      await server.waitForLog(/wal-fetch.*ERROR/, { from: seen })
      expect(server.pid).toBeDefined()
      await primary.query(`insert into numbers select generate_series(1, ${rowsPerBatch})`)
      await primary.switchWal()
    })
    await server.waitForRow(`select 1 from numbers having count(*) = ${expected}`)
    await server.stop()
  })

  test('a promotion is not blocked by an outage, and the log says what may be lost', async () => {
    const server = await recovery('standby.signal')
    await server.start()
    await whileMovedAway(archive.root, async () => {
      await server.waitForLog(/wal-fetch.*ERROR/)
      await server.query('select pg_promote(false)')
      await server.waitForPromotion()
    })
    // PostgreSQL asks for its timeline's history after it has removed standby.signal: 255 there would end the failover.
    expect(server.logText()).toMatch(/the server is ending its recovery: its new timeline may lack its history/)
    await server.stop()
  })

  test('a promotion in the middle of a fetch that fails is answered so that it goes on', async () => {
    const server = await recovery('standby.signal')
    await whileMovedAway(middle, async () => {
      await server.start({ wait: false })
      await server.waitForLog(/has a hole.*trying again/)
      writeFileSync(join(server.dataDirectory, 'promote'), '')
      process.kill(server.pid!, 'SIGUSR1')
      await server.waitForLog(/a promotion is requested: the server may open without this file/)
      await server.waitForPromotion()
    })
    await server.stop()
  })
})

describe('the archiver', () => {
  test('counts every failure, keeps the files, and archives them when it can', async () => {
    const before = await primary.value<number>('select failed_count::int from pg_stat_archiver')
    await whileMovedAway(archive.root, async () => {
      await primary.query(`insert into numbers select generate_series(1, ${rowsPerBatch})`)
      await primary.switchWal()
      await primary.waitForRow(`select 1 from pg_stat_archiver where failed_count >= ${before + 3}`)
    })
    const segment = await writeBatch()
    expect(filesBelow(archive.root).some((file) => file.includes(segment))).toBe(true)
  })

  test.each([
    ['never settles', 'await new Promise(() => {})'],
    ['ends in 0 without a result', ''],
    ['kills itself', 'process.kill(process.pid, "SIGKILL")'],
    ['ends in 200', 'process.exit(200)'],
  ])('counts the failure of a build that %s', async (_, source) => {
    const bin = badBuild(binDirectory(), 'wal-push', source)
    const server = await createCluster({
      version: 18,
      settings: {
        ...archive.settings,
        archive_command: String(archive.settings.archive_command).replace(binDirectory(), bin),
      },
    })
    await server.query('create table numbers as select generate_series(1, 1000)')
    await server.switchWal()
    await server.waitForRow('select 1 from pg_stat_archiver where failed_count > 0 and archived_count = 0')
    await server.stop('immediate')
  })
})

test('promoting makes a new timeline that is archived from its first segment, and can be recovered along and across', async () => {
  const place = createArchive()
  const old = await createCluster({ version: 18, settings: place.settings })
  await old.query('create table numbers (n int)')
  await old.stop()
  const base = await coldCopy(old.dataDirectory)
  await old.start()
  await old.query('insert into numbers select generate_series(1, 1000)')
  const before = await old.switchWal()
  await old.waitUntilArchived(before)

  const standby = await recoveryOf(base, { signal: 'standby.signal', restoreCommand: place.restoreCommand })
  standby.configure({ archive_mode: 'on', ...place.settings })
  await standby.start()
  await standby.waitForRow('select 1 from numbers having count(*) = 1000')
  await standby.promote()
  await standby.query('insert into numbers select generate_series(1, 500)')
  const after = await standby.switchWal()
  expect(after.startsWith('00000002')).toBe(true)
  await standby.waitUntilArchived(after)
  // The old primary goes on, as after a split: its rows belong to timeline 1 alone.
  await old.query('insert into numbers select generate_series(1, 100)')
  const onOld = await old.switchWal()
  await old.waitUntilArchived(onOld)
  const stored = filesBelow(place.root)
  expect(stored.some((file) => file.endsWith('wal/history/00000002.history.zst'))).toBe(true)
  expect(stored.some((file) => file.endsWith(`${after}.zst`))).toBe(true)

  for (const [timeline, expected] of [
    ['2', 1500],
    ['1', 1100],
  ] as const) {
    const settings = { recovery_target_timeline: timeline }
    const server = await recoveryOf(base, { signal: 'recovery.signal', restoreCommand: place.restoreCommand, settings })
    await server.start()
    await server.waitForPromotion()
    expect(await rows(server)).toBe(expected)
    await server.stop()
  }
})

test('what a killed wal-fetch left in pg_wal is swept by the next one', async () => {
  const server = await recovery('recovery.signal')
  const leftover = join(server.dataDirectory, 'pg_wal/RECOVERYXLOG.0123456789abcdef.tmp')
  appendFileSync(leftover, 'half')
  await server.start()
  await server.waitForPromotion()
  expect(existsSync(leftover)).toBe(false)
  await server.stop()
})
