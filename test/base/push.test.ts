/** pushBackup on a real server, with a storage that does things at the worst moment. */
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { listBackups } from '../../src/archive/backups.ts'
import { type PushOptions, pushBackup } from '../../src/base/push.ts'
import { openCodec } from '../../src/codec/open.ts'
import { ClusterLayout } from '../../src/core/archive-layout.ts'
import type { BackupRecord } from '../../src/core/backup-record.ts'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { connect } from '../../src/postgres/connection.ts'
import { readControlFile } from '../../src/postgres/pg-control.ts'
import { readSettings } from '../../src/postgres/settings.ts'
import { memoryStorage } from '../../src/storage/memory.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type Cluster, createCluster } from '../support/cluster.ts'
import { temporaryDirectory } from '../support/temporary.ts'
import { quietLog } from '../support/wal-archive.ts'

let cluster: Cluster
let layout: ClusterLayout
let tablespace: string

beforeAll(async () => {
  cluster = await createCluster({ settings: { archive_mode: 'on', archive_command: '/bin/true' } })
  tablespace = temporaryDirectory()
  await cluster.query(`create tablespace fast location '${tablespace}'`)
  await cluster.query('create table t tablespace fast as select 1 as n')
  const { systemIdentifier } = await readControlFile(cluster.dataDirectory)
  layout = new ClusterLayout('main', systemIdentifier)
})

/** In memory, with all WAL that anybody asks for. */
function storageWithWal(hooks: Partial<Storage> = {}): Storage & { readonly inner: Storage } {
  const inner = memoryStorage()
  const head: Storage['head'] = async (key, options) =>
    key.startsWith(layout.walPrefix) ? { key, size: 1, modified: new Date() } : inner.head(key, options)
  return { ...inner, head, ...hooks, inner }
}

/** Everything that happens before `key` is written happens in `before`. */
function onWriting(inner: Storage, name: string, before: () => Promise<void>): Storage['putIfAbsent'] {
  return async (key, content, options) => {
    if (key.endsWith(`/${name}`)) await before()
    return inner.putIfAbsent(key, content, options)
  }
}

async function push(storage: Storage, changes: Partial<PushOptions> = {}): Promise<BackupRecord> {
  const connection = await connect({ dsn: cluster.dsn, applicationName: 'seawall test' })
  try {
    return await pushBackup({
      connection,
      settings: await readSettings(connection),
      dataDirectory: cluster.dataDirectory,
      storage,
      layout,
      codec: await openCodec(),
      level: 1,
      fastCheckpoint: true,
      walTimeout: 10_000,
      clock: systemClock,
      log: quietLog,
      showProgress: () => {},
      isTerminal: false,
      signal: new AbortController().signal,
      progressed: () => {},
      ...changes,
    })
  } finally {
    await connection.close()
  }
}

/** In which a minute of patience passes at once. */
const fastClock: Clock = { ...systemClock, monotonic: () => performance.now() * 1000 }

async function keysOf(storage: Storage): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of storage.list('')) keys.push(key)
  return keys
}

test('databases and tablespaces that are dropped and created between finding and reading them do no harm', async () => {
  await cluster.query('create database dropped')
  await cluster.query('create database moved tablespace fast')
  await cluster.query(`create tablespace gone location '${temporaryDirectory()}'`)
  const storage = storageWithWal()
  const putIfAbsent = onWriting(storage.inner, 'part-00001.tar.zst', async () => {
    await cluster.query('drop database dropped')
    await cluster.query('drop database moved')
    await cluster.query('drop tablespace gone')
    await cluster.query('create database created')
  })
  const record = await push({ ...storage, putIfAbsent })
  const [backup] = await listBackups(storage, layout)
  expect(backup?.record).toEqual(record)
  await cluster.query('drop database created')
})

test('a tablespace that is not where its link points is missed, and nothing is left of the backup', async () => {
  const [version] = await cluster.query<{ path: string }>("select pg_relation_filepath('t') as path")
  const directory = join(tablespace, version!.path.split('/')[2]!)
  renameSync(directory, `${directory}.away`)
  const storage = storageWithWal()
  try {
    await expect(push(storage, { clock: fastClock })).rejects.toMatchObject({ code: 'refused', object: directory })
  } finally {
    renameSync(`${directory}.away`, directory)
  }
  expect(await keysOf(storage)).toEqual([])
})

test('a database without its PG_VERSION is missed, and nothing is left of the backup', async () => {
  await cluster.query('create database broken')
  const [row] = await cluster.query<{ oid: number }>("select oid::int from pg_database where datname = 'broken'")
  const file = join(cluster.dataDirectory, 'base', String(row!.oid), 'PG_VERSION')
  renameSync(file, `${file}.away`)
  const storage = storageWithWal()
  try {
    await expect(push(storage, { clock: fastClock })).rejects.toMatchObject({ code: 'refused', object: file })
  } finally {
    renameSync(`${file}.away`, file)
  }
  expect(await keysOf(storage)).toEqual([])
  await cluster.query('drop database broken')
})

test.each(['before', 'after'])('objects that are removed %s backup.json is written are missed', async (moment) => {
  const storage = storageWithWal()
  const removed: string[][] = []
  const sweep = async () => {
    const keys = await keysOf(storage)
    await storage.inner.remove(keys.filter((key) => key.endsWith('/part-00002.tar.zst')))
  }
  const putIfAbsent: Storage['putIfAbsent'] = async (key, content, options) => {
    const isRecord = key.endsWith('/backup.json')
    if (key.endsWith('/part-00003.tar.zst') && moment === 'before') await sweep()
    const outcome = await storage.inner.putIfAbsent(key, content, options)
    if (isRecord && moment === 'after') await sweep()
    return outcome
  }
  const remove: Storage['remove'] = async (keys, options) => {
    removed.push([...keys])
    await storage.inner.remove(removed.at(-1)!, options)
  }
  await expect(push({ ...storage, putIfAbsent, remove })).rejects.toMatchObject({
    code: 'archive-io',
    reason: expect.stringMatching(/^part-00002.tar.zst is not in memory: any more/),
  })
  expect(await keysOf(storage)).toEqual([])
  // By a call of its own, before anything else.
  expect(removed[0]).toEqual([expect.stringMatching(/backup\.json$/)])
})
