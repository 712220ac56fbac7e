/** base-push against a server at work: tablespaces, changes meanwhile, failures, interruption. */
import { copyFileSync, existsSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { segmentName, segmentNumber } from '../../src/core/wal-names.ts'
import { createArchive, type TestArchive } from '../support/archive.ts'
import {
  type ArchivingCluster,
  archiveEverything,
  archivingCluster,
  backupDirectory,
  newDirectory,
  pushArguments,
  restoreBackup,
  takeBackup,
} from '../support/base-backups.ts'
import { type Cluster, createCluster } from '../support/cluster.ts'
import { binDirectory } from '../support/installation.ts'
import { canMount, mountSmall } from '../support/mount.ts'
import { waitFor } from '../support/poll.ts'
import { finish, killGroup, run, start } from '../support/processes.ts'
import { seededRandom } from '../support/random.ts'
import { temporaryDirectory } from '../support/temporary.ts'
import { filesBelow, snapshot } from '../support/tree.ts'

/** Waits until the server knows of no backup that is under way. */
async function backupForgotten(cluster: Cluster): Promise<void> {
  await cluster.waitForRow(
    "select 1 where not exists (select from pg_stat_activity where application_name = 'seawall base-push')",
  )
}

/** The directory of the first segments in the archive. */
function wal({ root }: TestArchive): string {
  const [systemIdentifier] = readdirSync(join(root, 'main'))
  return join(root, 'main', systemIdentifier!, 'wal/0000000100000000')
}

/** Everything below base/ in the archive, while wal-push goes on beside it. */
function baseObjects({ archive }: ArchivingCluster): string[] {
  const paths = readdirSync(archive.root, { recursive: true }) as string[]
  return paths.filter((path) => /\/base\/.*\/.*\./.test(path)).sort()
}

describe.each([15, 18] as const)('PostgreSQL %s', (version) => {
  test('tablespaces, also one in place, unlogged tables and data written meanwhile are restored', async () => {
    // Recovery too wants to be told that a tablespace may lie in the data directory.
    const source = await archivingCluster({ version, settings: { allow_in_place_tablespaces: 'on' } })
    const { archive, cluster } = source
    const [fast, slow] = [temporaryDirectory(), temporaryDirectory()]
    await cluster.query(`create tablespace fast location '${fast}'`)
    await cluster.query(`create tablespace slow location '${slow}'`)
    await cluster.query("create tablespace inplace location ''")
    await cluster.query('create table t tablespace fast as select generate_series(1, 5000) as n')
    await cluster.query('create table s tablespace slow as select generate_series(1, 50) as n')
    await cluster.query('create table i tablespace inplace as select generate_series(1, 7) as n')
    await cluster.query('create unlogged table u as select generate_series(1, 100) as n')
    await cluster.query(
      'create table big as select n, repeat(md5(n::text), 8) as filler from generate_series(1, 40000) n',
    )

    let stop = false
    const written = (async () => {
      let transactions = 0
      for (; !stop; transactions++) {
        await cluster.query('insert into t values (0)')
        await cluster.query(`create table dropped_${transactions} as select generate_series(1, 2000) as n`)
        if (transactions >= 2) await cluster.query(`drop table dropped_${transactions - 2}`)
        await cluster.query('update big set filler = filler where n % 400 = 0')
        if (transactions % 4 === 0) await cluster.query(`create database churn_${transactions}`)
        if (transactions % 4 === 2) await cluster.query(`drop database churn_${transactions - 2}`)
        if (transactions % 5 === 4) await cluster.query('truncate s; insert into s select generate_series(1, 50)')
      }
      return transactions
    })()
    const backup = await takeBackup(source)
    stop = true
    const transactions = await written
    expect(transactions).toBeGreaterThan(0)
    await archiveEverything(cluster)

    const [newFast, newSlow] = [newDirectory('fast'), newDirectory('slow = new')]
    const mapping = ['--tablespace', `${fast}=${newFast}`, '--tablespace', `${slow}=${newSlow.replace('=', '\\=')}`]
    const { restored, result } = await restoreBackup(archive, version, mapping)
    expect(result.stdout).toContain(`tablespace ${fast} is now ${newFast}`)
    await restored.start()
    await restored.waitForPromotion()
    expect(Number(await restored.value('select count(*) from t'))).toBe(5000 + transactions)
    expect(Number(await restored.value('select count(*) from s'))).toBe(50)
    expect(Number(await restored.value('select count(*) from i'))).toBe(7)
    expect(Number(await restored.value('select count(*) from u'))).toBe(0)
    expect(Number(await restored.value('select count(distinct filler) from big'))).toBe(40_000)
    const locations = await restored.query<{ at: string }>(
      'select pg_tablespace_location(oid) as at from pg_tablespace',
    )
    expect(locations.map(({ at }) => at)).toEqual(expect.arrayContaining([newFast, newSlow]))
    const parts = filesBelow(backupDirectory(archive, backup)).filter((path) => path.startsWith('part-'))
    expect(parts.length).toBe(4)

    // On this machine the original places are taken.
    const refused = await archive.call('base-fetch', [newDirectory()])
    expect(refused).toMatchObject({ code: 3, stdout: '' })
    expect(refused.stderr).toMatch(/not empty[\s\S]*--tablespace/)
  })
})

describe('a backup that fails', () => {
  let source: ArchivingCluster

  beforeAll(async () => {
    source = await archivingCluster()
    await source.cluster.query(
      "create table big as select n, (select string_agg(md5((n * i)::text), '') from generate_series(1, 20) i) as filler from generate_series(1, 40000) n",
    )
    await takeBackup(source)
  })

  test('because its WAL is not archived names the segment and what the archiver says, and leaves nothing', async () => {
    const { archive, cluster } = source
    const before = baseObjects(source)
    cluster.configure({ archive_command: '/bin/false' })
    cluster.reload()
    await cluster.waitForRow("select 1 where current_setting('archive_command') = '/bin/false'")
    const result = await archive.call('base-push', [...pushArguments(cluster), '--wal-timeout', '2s'])
    expect(result).toMatchObject({ code: 74, stdout: '' })
    expect(result.stderr).toMatch(/wait for WAL segment 0000000100000000000000[0-9A-F]{2}: it did not arrive/)
    expect(result.stderr).toMatch(/archive_mode is on; the last archived file is 0000\w+/)
    expect(baseObjects(source)).toEqual(before)
    await backupForgotten(cluster)
    cluster.configure(archive.settings)
    cluster.reload()
    await cluster.waitForRow("select 1 where current_setting('archive_command') <> '/bin/false'")
  })

  test('because another server archived segments of the same names says so, and leaves nothing', async () => {
    const { archive, cluster } = source
    await archiveEverything(cluster)
    const current = await cluster.value<string>('select pg_walfile_name(pg_current_wal_insert_lsn())')
    const directory = wal(archive)
    const foreign = [-1, 0, 1, 2, 3].map((offset) =>
      segmentName(1, segmentNumber(current, 1 << 24) + BigInt(offset), 1 << 24),
    )
    const [archived, ...later] = foreign.map((segment) => join(directory, `${segment}.zst`))
    for (const path of later) copyFileSync(archived!, path)
    const before = baseObjects(source)
    const result = await archive.call('base-push', [...pushArguments(cluster), '--wal-timeout', '2s'])
    for (const path of later) rmSync(path)
    expect(result).toMatchObject({ code: 74, stdout: '' })
    expect(result.stderr).toMatch(/holds one of that name.*0000000100000000000000[0-9A-F]{2}\.ready/)
    expect(baseObjects(source)).toEqual(before)
    await archiveEverything(cluster)
  })

  test('because a file cannot be read names it, and leaves nothing', async () => {
    const { archive, cluster } = source
    const before = baseObjects(source)
    const secret = join(cluster.dataDirectory, 'unreadable')
    await run(['mkdir', '-m', '000', secret])
    const result = await archive.call('base-push', pushArguments(cluster))
    rmSync(secret, { recursive: true })
    expect(result).toMatchObject({ code: 12, stdout: '' })
    expect(result.stderr).toContain(`list directory ${secret}`)
    expect(baseObjects(source)).toEqual(before)
    await backupForgotten(cluster)
  })

  test('because the server goes away says so, and leaves nothing', async () => {
    const { archive, cluster } = source
    const before = baseObjects(source)
    const child = start([join(binDirectory(), 'base-push'), '--config', archive.config, ...pushArguments(cluster)])
    const ended = finish(child, 'base-push')
    await waitFor('the backup to begin', () => temporaryObjects() > 0, {
      interval: 2,
    })
    await cluster.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'seawall base-push'",
    )
    const result = await ended
    // It may have been quicker.
    if (result.code !== 0) {
      expect(result.code, result.stderr).toBe(8)
      expect(baseObjects(source)).toEqual(before)
    }
    await backupForgotten(cluster)
  })

  test.each(['SIGTERM', 'SIGINT'] as const)('by %s leaves nothing, and the server has forgotten it', async (signal) => {
    const { archive, cluster } = source
    const before = baseObjects(source)
    const child = start([join(binDirectory(), 'base-push'), '--config', archive.config, ...pushArguments(cluster)])
    const ended = finish(child, 'base-push')
    await waitFor('the backup to begin', () => temporaryObjects() > 0, { interval: 2 })
    process.kill(child.pid!, signal)
    const result = await ended
    expect(result.code === 75 || result.signal === signal, JSON.stringify(result)).toBe(true)
    expect(result.stderr).toMatch(/interrupted by/)
    expect(baseObjects(source)).toEqual(before)
    await backupForgotten(cluster)
  })

  test('while the server spreads its checkpoint ends at once when it is interrupted', async () => {
    const { archive, cluster } = source
    const before = baseObjects(source)
    await cluster.query('update big set n = n where n % 3 = 0')
    const args = pushArguments(cluster).filter((argument) => argument !== '--fast-checkpoint')
    const child = start([join(binDirectory(), 'base-push'), '--config', archive.config, ...args])
    const ended = finish(child, 'base-push')
    await cluster.waitForRow(
      "select 1 from pg_stat_activity where application_name = 'seawall base-push' and query like '%pg_backup_start%' and state = 'active'",
    )
    const begun = performance.now()
    process.kill(child.pid!, 'SIGTERM')
    const result = await ended
    expect(performance.now() - begun).toBeLessThan(5000)
    expect(result.code === 75 || result.signal === 'SIGTERM', JSON.stringify(result)).toBe(true)
    expect(baseObjects(source)).toEqual(before)
    // Nobody waits for that checkpoint any more, but the server finishes it.
    await cluster.query('checkpoint')
    await backupForgotten(cluster)
  })

  test.skipIf(!canMount)('because the archive is full says so, and leaves nothing', async () => {
    const { archive, cluster } = source
    const mount = mountSmall('2m')
    const result = await archive.call('base-push', [...pushArguments(cluster), '--archive', `file://${mount}`])
    expect(result).toMatchObject({ code: 5, stdout: '' })
    expect(result.stderr).toMatch(/ENOSPC|no space/i)
    expect(filesBelow(mount).filter((path) => path.includes('/base/'))).toEqual([])
    await backupForgotten(cluster)
  })

  test('by kill -9 at any moment leaves nothing that looks like a backup, and the next one succeeds', async () => {
    const { archive, cluster } = source
    const random = seededRandom('base-push killed')
    const begun = performance.now()
    await takeBackup(source)
    const duration = performance.now() - begun
    let killed = 0
    for (let round = 0; round < 12; round++) {
      const complete = completeBackups()
      const child = start([join(binDirectory(), 'base-push'), '--config', archive.config, ...pushArguments(cluster)])
      const ended = finish(child, 'base-push')
      const timer = setTimeout(() => killGroup(child.pid!), random.next() * duration * 1.05)
      const { signal } = await ended
      clearTimeout(timer)
      if (signal === 'SIGKILL') killed += 1
      await backupForgotten(cluster)
      for (const record of completeBackups().filter((path) => !complete.includes(path))) {
        expectComplete(source, record)
      }
    }
    expect(killed).toBeGreaterThan(3)
    const backup = await takeBackup(source)
    const { restored } = await restoreBackup(archive, 18, [backup.id])
    await restored.start()
    await restored.waitForPromotion()
    expect(Number(await restored.value('select count(*) from big'))).toBe(40_000)
  })

  function completeBackups(): string[] {
    return baseObjects(source).filter((path) => path.endsWith('/backup.json'))
  }

  function expectComplete({ archive }: ArchivingCluster, record: string): void {
    const directory = join(archive.root, record, '..')
    const { parts, files, manifest } = JSON.parse(readFileSync(join(archive.root, record), 'utf8'))
    const sizes = new Map(filesBelow(directory).map((path) => [path, readFileSync(join(directory, path)).length]))
    for (const { name, size } of [...parts, files, manifest]) expect(sizes.get(name), name).toBe(size)
  }

  /** Files of a backup that is being written. */
  function temporaryObjects(): number {
    return baseObjects(source).filter((path) => path.endsWith('.tmp')).length
  }
})

describe('what is not the server of the directory', () => {
  test('is refused before anything is written', async () => {
    const source = await archivingCluster()
    const other = await archivingCluster()
    const wrong = ['--pgdata', other.cluster.dataDirectory, '--dsn', source.cluster.dsn]
    const result = await source.archive.call('base-push', wrong)
    expect(result).toMatchObject({ code: 3, stdout: '' })
    expect(result.stderr).toMatch(/system identifiers/)
    expect(baseObjects(source)).toEqual([])
    await other.cluster.stop()
    const stopped = await other.archive.call('base-push', pushArguments(other.cluster))
    expect(stopped.code).toBe(8)
  })
})

test('a symbolic link in the data directory is skipped with a warning, one to pg_wal is not', async () => {
  const source = await archivingCluster({ start: false })
  const { archive, cluster } = source
  const elsewhere = temporaryDirectory()
  await run(['mv', join(cluster.dataDirectory, 'pg_wal'), join(elsewhere, 'wal')])
  symlinkSync(join(elsewhere, 'wal'), join(cluster.dataDirectory, 'pg_wal'))
  symlinkSync('/etc/hostname', join(cluster.dataDirectory, 'link'))
  await cluster.start()
  const pushed = await archive.call('base-push', pushArguments(cluster))
  expect(pushed.code, pushed.stderr).toBe(0)
  expect(pushed.stderr).toMatch(/skipping link: it is a symbolic link/)
  expect(pushed.stdout).toMatch(/^base backup \d{8}T\d{6}Z_[0-9A-F]{24} is complete\n {2}\d+ files, [\d.]+ MiB;/)
  const { restored } = await restoreBackup(archive, 18, [])
  expect(Object.keys(snapshot(join(restored.dataDirectory, 'pg_wal')))).toContain('archive_status')
  expect(existsSync(join(restored.dataDirectory, 'link'))).toBe(false)
  await restored.start()
  await restored.waitForPromotion()
})

test('a tablespace with a relative link is restored to where that led, and elsewhere', async () => {
  const source = await archivingCluster()
  const { archive, cluster } = source
  const tablespace = join(cluster.dataDirectory, '../tablespace')
  await run(['mkdir', tablespace])
  await cluster.query(`create tablespace fast location '${tablespace}'`)
  await cluster.query('create table t tablespace fast as select generate_series(1, 50) as n')
  const oid = await cluster.value<string>("select oid::text from pg_tablespace where spcname = 'fast'")
  await cluster.stop()
  const link = join(cluster.dataDirectory, 'pg_tblspc', oid)
  rmSync(link)
  symlinkSync('../../tablespace', link)
  await cluster.start()
  const backup = await takeBackup(source)
  const record = JSON.parse(readFileSync(join(backupDirectory(archive, backup), 'backup.json'), 'utf8'))
  expect(record.tablespaces).toEqual([{ oid: Number(oid), location: tablespace }])
  await cluster.stop()
  await run(['mv', tablespace, `${tablespace}.lost`])
  for (const [args, place] of [
    [[], tablespace],
    [['--tablespace', `${tablespace}=${tablespace}.new`], `${tablespace}.new`],
  ] as const) {
    const { restored } = await restoreBackup(archive, 18, args)
    await restored.start()
    await restored.waitForPromotion()
    expect(Number(await restored.value('select count(*) from t'))).toBe(50)
    expect(readlinkSync(join(restored.dataDirectory, 'pg_tblspc', oid))).toBe(place)
    await restored.dispose()
  }
})

test('a server that does not run is named as such', async () => {
  const cluster = await createCluster({ version: 18, start: false })
  const result = await createArchive().call('base-push', ['--pgdata', cluster.dataDirectory])
  expect(result.code).toBe(8)
  expect(result.stderr).toMatch(/could not back up .*: no server runs on it/)
  expect(result.stderr).toMatch(/HINT {2}Start the server/)
})
