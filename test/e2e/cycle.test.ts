/**
 * The main job on every supported PostgreSQL, wired by the files in examples/: archive WAL, take a base backup, lose data,
 * restore to the moment before, prune. Then a backup of the restored cluster, restored again.
 */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createArchive, type TestArchive } from '../support/archive.ts'
import { type Cluster, createCluster, openCluster, type Version } from '../support/cluster.ts'
import { run } from '../support/processes.ts'
import { temporaryDirectory } from '../support/temporary.ts'
import { filesBelow, snapshot } from '../support/tree.ts'

/** What the user's cron or systemd would run, as the user of the servers. */
const nightlyJobs: Readonly<Record<string, (archive: TestArchive, cluster: Cluster) => string>> = {
  crontab: (archive, { dataDirectory }) =>
    archive
      .example('crontab', { '/var/lib/postgresql/data': dataDirectory })
      .split('\n')
      .filter((line) => /^\d/.test(line))
      .map((line) => line.split(' ').slice(5).join(' '))
      .join('\n'),
  'seawall-backup.service': (archive, { dataDirectory }) =>
    archive
      .example('seawall-backup.service', { '/var/lib/postgresql/data': dataDirectory })
      .split('\n')
      .filter((line) => line.startsWith('ExecStart='))
      .map((line) => line.slice('ExecStart='.length))
      .join(' && '),
}

const rows = (cluster: Cluster) => cluster.value<number>('select count(*)::int from numbers')

const versions: [Version, { job: string; dataChecksums: boolean; segmentSize: number }][] = [
  [13, { job: 'crontab', dataChecksums: false, segmentSize: 16 }],
  [14, { job: 'seawall-backup.service', dataChecksums: true, segmentSize: 1 }],
  [15, { job: 'crontab', dataChecksums: true, segmentSize: 64 }],
  [16, { job: 'seawall-backup.service', dataChecksums: false, segmentSize: 16 }],
  [17, { job: 'crontab', dataChecksums: true, segmentSize: 16 }],
  [18, { job: 'seawall-backup.service', dataChecksums: true, segmentSize: 16 }],
  ['debian15', { job: 'crontab', dataChecksums: false, segmentSize: 16 }],
]

describe.each(versions)('PostgreSQL %s', (version, { job, dataChecksums, segmentSize }) => {
  test('archives, is backed up by the example job, restored to a moment, and its copy stays out of the archive', async () => {
    const archive = createArchive()
    const settings = { ...archive.settings, checkpoint_completion_target: 0 }
    const primary = await createCluster({ version, settings, dataChecksums, segmentSize })
    await primary.query('create table numbers (n int primary key)')
    await primary.query('insert into numbers select generate_series(1, 5000)')

    const nightly = await run(['sh', '-ec', nightlyJobs[job]!(archive, primary)])
    expect(nightly).toMatchObject({ code: 0, stderr: expect.not.stringMatching(/WARN|ERROR/) })

    await primary.query('insert into numbers select generate_series(5001, 8000)')
    const moment = await primary.value<string>("select to_char(clock_timestamp(), 'YYYY-MM-DD HH24:MI:SS.US')||'+00'")
    await primary.query('delete from numbers')
    await primary.waitUntilArchived(await primary.switchWal())

    const restored = join(temporaryDirectory(), 'it\'s a "new" place, 100 %')
    const fetched = await archive.call('base-fetch', ['--target-time', moment, restored])
    expect(fetched).toMatchObject({ code: 0 })
    const copy = openCluster({ version, dataDirectory: restored })
    await copy.start()
    await copy.waitForPromotion()
    expect(await rows(copy)).toBe(8000)
    expect(await copy.value('select pg_is_in_recovery()')).toBe(false)

    // The copy is on a timeline of its own: nothing of it may reach the original's place.
    const before = snapshot(archive.root)
    expect(await copy.value('show archive_mode')).toBe('off')
    await copy.query('insert into numbers values (0)')
    await copy.switchWal()
    await copy.stop()
    expect(snapshot(archive.root)).toEqual(before)
    expect(await rows(primary)).toBe(0)

    // Taken over for good under a name of its own, and backed up with all that the recovery left in it.
    copy.configure({
      archive_command: String(archive.settings.archive_command).replace('wal-push ', 'wal-push --cluster taken-over '),
    })
    await copy.start()
    await copy.query('alter system reset archive_mode')
    await copy.restart()
    const second = ['--cluster', 'taken-over', '--pgdata', restored, '--dsn', copy.dsn, '--fast-checkpoint']
    expect(await archive.call('base-push', second)).toMatchObject({ code: 0 })
    const lsn = await copy.value<string>('insert into numbers values (-1) returning pg_current_wal_insert_lsn()')
    await copy.query('insert into numbers values (-2)')
    const target = await copy.value<string>('select pg_current_wal_flush_lsn()')
    expect(lsn < target).toBe(true)
    await copy.query('delete from numbers')
    await copy.waitUntilArchived(await copy.switchWal())
    await copy.stop()

    const again = join(temporaryDirectory(), 'again')
    const args = ['--cluster', 'taken-over', '--target-lsn', target, '--target-action', 'promote', again]
    expect(await archive.call('base-fetch', args)).toMatchObject({ code: 0 })
    const third = openCluster({ version, dataDirectory: again })
    await third.start()
    await third.waitForPromotion()
    expect(await rows(third)).toBe(8003)
    await third.stop()
    await primary.stop()
    expect(filesBelow(archive.root).filter((file) => file.endsWith('.tmp'))).toEqual([])
  })
})
