/** A streaming standby made by base-fetch takes over in the middle of a segment. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createArchive } from '../support/archive.ts'
import { type Cluster, createCluster, openCluster } from '../support/cluster.ts'
import { temporaryDirectory } from '../support/temporary.ts'
import { filesBelow } from '../support/tree.ts'

const rows = (cluster: Cluster) => cluster.value<number>('select count(*)::int from numbers')

test('its partial segment, its history and its first segment are archived, and lead to its rows', async () => {
  const archive = createArchive()
  const settings = { ...archive.settings, archive_timeout: 0 }
  const primary = await createCluster({ version: 18, settings })
  await primary.query('create table numbers as select generate_series(1, 1000) as n')
  const pushed = await archive.call('base-push', [
    '--pgdata',
    primary.dataDirectory,
    '--fast-checkpoint',
    '--dsn',
    primary.dsn,
  ])
  expect(pushed).toMatchObject({ code: 0 })

  const directory = join(temporaryDirectory(), 'standby')
  const fetched = await archive.call('base-fetch', ['--standby', directory])
  expect(fetched).toMatchObject({ code: 0 })
  const standby = openCluster({ version: 18, dataDirectory: directory })
  standby.configure({ primary_conninfo: `host=${primary.socketDirectory} port=${primary.port} user=postgres` })
  await standby.start()
  await standby.waitForLog(/started streaming WAL from primary/)
  await primary.query('insert into numbers select generate_series(1, 500)')
  await standby.waitForRow('select 1 from numbers having count(*) = 1500')
  const unfinished = await primary.value<string>('select pg_walfile_name(pg_current_wal_insert_lsn())')
  await primary.kill()

  await standby.promote()
  await standby.query('insert into numbers select generate_series(1, 250)')
  const first = await standby.switchWal()
  await standby.waitUntilArchived(first)
  const stored = filesBelow(archive.root).map((file) => file.split('/').at(-1))
  expect(stored).toContain('00000002.history.zst')
  expect(stored).toContain(`${first}.zst`)
  expect(first.slice(8)).toBe(unfinished.slice(8))
  expect(stored.filter((name) => name!.startsWith(`${unfinished}.partial.`))).toHaveLength(1)
  expect(stored).not.toContain(`${unfinished}.zst`)

  const destination = join(temporaryDirectory(), 'partial')
  const partial = [`${unfinished}.partial`, destination, '--pgdata', directory]
  expect(await archive.call('wal-fetch', partial)).toMatchObject({ code: 0 })
  expect(readFileSync(destination)).toHaveLength(1 << 24)

  const restored = join(temporaryDirectory(), 'restored')
  expect(await archive.call('base-fetch', [restored])).toMatchObject({ code: 0 })
  const copy = openCluster({ version: 18, dataDirectory: restored })
  await copy.start()
  await copy.waitForPromotion()
  expect(await rows(copy)).toBe(1750)
  await copy.stop()
  await standby.stop()
})
