/** No lock-in: a cluster comes back to a point in time with a shell, zstd and tar, without anything of ours. */
import { appendFileSync, chmodSync, copyFileSync, existsSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  archiveEverything,
  archivingCluster,
  backupDirectory,
  momentNow,
  newDirectory,
  takeBackup,
} from '../support/base-backups.ts'
import { openCluster, type Version } from '../support/cluster.ts'
import { hasDebian15 } from '../support/postgres/programs.ts'
import { run } from '../support/processes.ts'
import { temporaryDirectory } from '../support/temporary.ts'

const verifyBackup = '/usr/lib/postgresql/15/bin/pg_verifybackup'
const versions: Version[] = hasDebian15() ? ['debian15', 18] : [15, 18]

/** A PATH on which only these programs are found. */
function pathWith(programs: readonly string[]): string {
  const directory = temporaryDirectory()
  for (const program of programs) {
    const found = ['/usr/bin', '/bin'].map((place) => join(place, program)).find(existsSync)
    if (found === undefined) throw new Error(`there is no ${program}`)
    symlinkSync(found, join(directory, program))
  }
  return directory
}

describe.each(versions)('PostgreSQL %s', (version) => {
  test('base backup and WAL are restored with stock tools only', async () => {
    const source = await archivingCluster({ version })
    const { archive, cluster } = source
    const tablespace = join(temporaryDirectory(), 'tablespace')
    await run(['mkdir', tablespace])
    await cluster.query(`create tablespace elsewhere location '${tablespace}'`)
    await cluster.query('create table t as select generate_series(1, 30000) as n')
    await cluster.query('create table e tablespace elsewhere as select generate_series(1, 3000) as n')
    appendFileSync(join(cluster.dataDirectory, 'postgresql.auto.conf'), "work_mem = '5MB'\nrecovery_target_xid = '3'\n")
    const backup = await takeBackup(source)
    await cluster.query('insert into t values (0)')
    const time = (await momentNow(cluster)).replace('T', ' ').replace('Z', '+00')
    await cluster.query('delete from t')
    await cluster.query('delete from e')
    await archiveEverything(cluster)
    await cluster.stop()
    renameSync(tablespace, `${tablespace}.lost`)

    const script = join(temporaryDirectory(), 'stock-restore.sh')
    copyFileSync(join(import.meta.dirname, '../support/stock-restore.sh'), script)
    chmodSync(script, 0o755)
    const directory = newDirectory()
    const place = join(backupDirectory(archive, backup), '../..')
    const PATH = pathWith(['sh', 'zstd', 'tar', 'mkdir', 'ln'])
    const restored = await run([script, place, backup.id, directory, time, String(backup.timeline)], { env: { PATH } })
    expect(restored).toMatchObject({ code: 0, stdout: '', stderr: '' })

    if (existsSync(verifyBackup) && cluster.major === 15) {
      const verified = await run([verifyBackup, '-n', directory])
      expect(verified).toMatchObject({ code: 0, stderr: '' })
      expect(verified.stdout).toContain('backup successfully verified')
    }
    const copy = openCluster({ version, dataDirectory: directory })
    await copy.start()
    await copy.waitForPromotion()
    expect(Number(await copy.value('select count(*) from t'))).toBe(30_001)
    expect(Number(await copy.value('select count(*) from e'))).toBe(3000)
    expect(await copy.value("select current_setting('work_mem')")).toBe('5MB')
  })
})

test.skipIf(!existsSync(verifyBackup))(
  'pg_verifybackup accepts what base-fetch restores, and notices a change',
  async () => {
    const source = await archivingCluster({ version: 15 })
    await takeBackup(source)
    const directory = newDirectory()
    expect(await source.archive.call('base-fetch', [directory])).toMatchObject({ code: 0 })
    expect(await run([verifyBackup, '-n', directory])).toMatchObject({ code: 0, stderr: '' })
    await run(['sh', '-c', 'printf x >> "$1"/base/1/PG_VERSION', 'sh', directory])
    expect(await run([verifyBackup, '-n', directory])).toMatchObject({ code: 1 })
  },
)
