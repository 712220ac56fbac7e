/** The whole way on real servers: backup, changes, restore to a point in time. */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  archiveEverything,
  archivingCluster,
  momentNow,
  newDirectory,
  pushArguments,
  restoreBackup,
  takeBackup,
} from '../support/base-backups.ts'
import type { Cluster, Version } from '../support/cluster.ts'
import { hasDebian15 } from '../support/postgres/programs.ts'
import { run } from '../support/processes.ts'

const versions: Version[] = [13, 14, hasDebian15() ? 'debian15' : 15, 16, 17, 18]
/** Every kind of target; the others are restored to a time and to the end. */
const thorough: Version[] = [13, 18]

async function rows(cluster: Cluster): Promise<number> {
  return Number(await cluster.value('select count(*) from t'))
}

describe.each(versions)('PostgreSQL %s', (version) => {
  test('a backup is restored to a time, an LSN, a name, a transaction, the backup itself and the end', async () => {
    const source = await archivingCluster({ version })
    const { archive, cluster } = source
    await cluster.query('create table t as select generate_series(1, 1000) as n')
    const backup = await takeBackup(source)
    expect(backup.files).toBeGreaterThan(500)

    await cluster.query('insert into t select generate_series(1, 100)')
    const xid = await cluster.value<string>(
      cluster.major === 13
        ? 'insert into t values (0) returning txid_current()'
        : 'insert into t values (0) returning pg_current_xact_id()',
    )
    const time = await momentNow(cluster)
    const lsn = await cluster.value<string>("select pg_create_restore_point('before the damage')::text")
    await cluster.query('delete from t')
    await archiveEverything(cluster)

    const targets: [string[], number][] = [
      [['--target-time', time], 1101],
      [[], 0],
      [['--target-lsn', lsn], 1101],
      [['--target-xid', String(xid), backup.id], 1101],
      [['--target-name', 'before the damage', 'latest'], 1101],
      [['--target', 'immediate', 'latest'], 1000],
    ]
    for (const [args, expected] of thorough.includes(version) ? targets : targets.slice(0, 2)) {
      const { restored, result } = await restoreBackup(archive, version, args)
      expect(result.stdout.trimEnd().split('\n').at(-1)).toMatch(/^archive_mode = off/)
      await restored.start()
      await restored.waitForPromotion()
      expect(await rows(restored), args.join(' ')).toBe(expected)
      expect(await restored.value("select current_setting('archive_mode')")).toBe('off')
      expect(existsSync(join(restored.dataDirectory, 'recovery.signal'))).toBe(false)
      await restored.dispose()
    }
  })
})

test('permissions and times are those of the original', async () => {
  const source = await archivingCluster({ start: false })
  const { archive, cluster } = source
  // As initdb --allow-group-access makes it.
  const opened = await run(['chmod', '-R', 'g+rX', cluster.dataDirectory])
  expect(opened).toMatchObject({ code: 0 })
  await cluster.start()
  await takeBackup(source)
  const { restored } = await restoreBackup(archive, 18, [])
  expect(statSync(restored.dataDirectory).mode & 0o7777).toBe(0o750)
  for (const path of ['', 'PG_VERSION', 'base/1/1259', 'global/pg_control', 'pg_hba.conf', 'pg_wal', 'base']) {
    const [before, after] = [cluster, restored].map(({ dataDirectory }) => statSync(join(dataDirectory, path)))
    expect(after!.mode, path).toBe(before!.mode)
    if (path === 'PG_VERSION' || path === 'pg_hba.conf') {
      expect(Math.floor(after!.mtimeMs / 1000), path).toBe(Math.floor(before!.mtimeMs / 1000))
    }
  }
  expect(readFileSync(join(restored.dataDirectory, 'backup_label'), 'utf8')).toContain('BACKUP METHOD: streamed')
})

test('a cluster that was promoted before it ever archived is restored along its own timeline', async () => {
  const source = await archivingCluster({ settings: { archive_mode: 'off', restore_command: '/bin/false' } })
  const { archive, cluster } = source
  await cluster.query('create table t as select generate_series(1, 10) as n')
  await cluster.stop()
  // As a failover under another archiving tool leaves it: on timeline 2, whose history file went elsewhere.
  writeFileSync(join(cluster.dataDirectory, 'recovery.signal'), '')
  await cluster.start()
  await cluster.waitForPromotion()
  await cluster.switchWal()
  await cluster.stop()
  rmSync(join(cluster.dataDirectory, 'pg_wal/archive_status/00000002.history.ready'), { force: true })
  rmSync(join(cluster.dataDirectory, 'pg_wal/00000002.history'))
  cluster.configure({ archive_mode: 'on' })
  await cluster.start()
  const backup = await takeBackup(source)
  expect(backup.timeline).toBe(2)
  await cluster.query('insert into t values (0)')
  await archiveEverything(cluster)
  const { restored } = await restoreBackup(archive, 18, [])
  expect(readFileSync(join(restored.dataDirectory, 'postgresql.auto.conf'), 'utf8')).toContain(
    "recovery_target_timeline = 'current'",
  )
  await restored.start()
  await restored.waitForPromotion()
  expect(await rows(restored)).toBe(11)
})

test('after a restored copy took over, a plain restore brings its rows; without its history it refuses until base-push was run', async () => {
  const source = await archivingCluster()
  const { archive, cluster } = source
  await cluster.query('create table t as select generate_series(1, 10) as n')
  const backup = await takeBackup(source)
  await archiveEverything(cluster)
  await cluster.stop()
  const { restored: copy, result } = await restoreBackup(archive, 18, [])
  expect(result.stdout).toMatch(/takes over, ALTER SYSTEM RESET archive_mode, restart it, and run base-push at once/)
  await copy.start()
  await copy.waitForPromotion()
  await copy.query('insert into t values (0)')
  await copy.query('alter system reset archive_mode')
  await copy.restart()
  await archiveEverything(copy)

  // wal-push archived the history of the new timeline together with its first segment.
  const { restored: again } = await restoreBackup(archive, 18, [])
  await again.start()
  await again.waitForPromotion()
  expect(await rows(again)).toBe(11)
  await again.dispose()

  rmSync(join(archive.root, 'main', backup.systemIdentifier, 'wal/history/00000002.history.zst'))
  const refused = await archive.call('base-fetch', [newDirectory()])
  expect(refused, refused.stderr).toMatchObject({ code: 9, stdout: '' })
  expect(refused.stderr).toMatch(/timeline 2[\s\S]*00000002\.history[\s\S]*--target-timeline 1/)

  await takeBackup({ archive, cluster: copy })
  await archiveEverything(copy)
  const { restored } = await restoreBackup(archive, 18, [])
  await restored.start()
  await restored.waitForPromotion()
  expect(await rows(restored)).toBe(11)
})

test('a server that does not archive is told so at once', async () => {
  const source = await archivingCluster({ settings: { archive_mode: 'off' } })
  const result = await source.archive.call('base-push', pushArguments(source.cluster))
  expect(result.code).toBe(8)
  expect(result.stderr).toMatch(/archive_mode is off/)
})
