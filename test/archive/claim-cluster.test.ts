import { existsSync } from 'node:fs'
import { chown, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { claimCluster } from '../../src/archive/claim-cluster.ts'
import { readClusterRecord } from '../../src/archive/cluster-record.ts'
import { openRememberedArchives } from '../../src/archive/remembered-archives.ts'
import { ClusterLayout } from '../../src/core/archive-layout.ts'
import { memoryStorage } from '../../src/storage/memory.ts'
import { quietLog } from '../support/wal-archive.ts'

const layout = new ClusterLayout('main', '7312345678901234567')
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'sw-'))
})

afterEach(() => rm(directory, { recursive: true }))

const elsewhere = () =>
  openRememberedArchives({ configured: '/nonexistent', stateHome: undefined, home: () => '/', uid: 0 })

async function claim(storage = memoryStorage(), changes = {}) {
  const choice = { configured: path.join(directory, 'state'), stateHome: undefined, home: () => directory, uid: 1 }
  return claimCluster({
    storage,
    layout,
    walSegmentSize: 1 << 24,
    postgresMajor: 18,
    remembered: await openRememberedArchives(choice),
    createArchive: false,
    dataDirectory: undefined,
    uid: 1,
    log: quietLog,
    ...changes,
  })
}

test('a first use creates the record and remembers the archive', async () => {
  const storage = memoryStorage()
  await claim(storage)
  expect(await readClusterRecord(storage, layout)).toEqual({
    systemIdentifier: layout.systemIdentifier,
    walSegmentSize: 1 << 24,
    postgresMajor: 18,
  })
  expect(existsSync(path.join(directory, 'state/archives'))).toBe(true)
})

test('an archive that was used and is empty is refused, unless it is to be created', async () => {
  await claim(memoryStorage())
  const emptied = memoryStorage()
  await expect(claim(emptied)).rejects.toMatchObject({ code: 'archive-missing' })
  expect(await emptied.head(layout.record)).toBeUndefined()
  await claim(emptied, { createArchive: true })
  expect(await emptied.head(layout.record)).toBeDefined()
})

test('objects without a record are refused also by a machine that remembers nothing', async () => {
  const storage = memoryStorage()
  await storage.putIfAbsent(layout.segment('000000010000000000000003'), [Buffer.from('x')])
  await expect(claim(storage)).rejects.toMatchObject({ code: 'archive-missing' })
})

test('another segment size is refused, also when another writer was faster', async () => {
  const storage = memoryStorage()
  await claim(storage)
  await expect(claim(storage, { walSegmentSize: 1 << 20 })).rejects.toMatchObject({ code: 'refused' })
})

test('a segment size that nobody tells is that of the archive, which must exist then', async () => {
  const storage = memoryStorage()
  await expect(claim(storage, { walSegmentSize: undefined })).rejects.toMatchObject({ code: 'refused' })
  await claim(storage)
  await claim(storage, { walSegmentSize: undefined })
})

test('root does not write for the server of another user', async () => {
  const storage = memoryStorage()
  await chown(directory, 65534, 65534).catch(() => {})
  const owned = (await stat(directory)).uid !== 0
  const attempt = claim(storage, { uid: 0, dataDirectory: directory, remembered: await elsewhere() })
  if (owned) await expect(attempt).rejects.toMatchObject({ code: 'refused', hint: expect.stringContaining('runuser') })
  else await attempt
})

test('what was remembered in one of the default places is known also when the other one is in use', async () => {
  const home = path.join(directory, 'home')
  const choice = { configured: undefined, stateHome: undefined, home: () => home, uid: 1 }
  const before = await openRememberedArchives({ ...choice, configured: path.join(home, '.local/state/seawall') })
  await before.prepare()
  await before.add('memory:', layout)
  expect(await (await openRememberedArchives({ ...choice, uid: 0 })).has('memory:', layout)).toBe(true)
  expect(await (await openRememberedArchives({ ...choice, uid: 0 })).has('memory:other', layout)).toBe(false)
})

test('of eight first uses at once one creates the record and all succeed', async () => {
  const storage = memoryStorage()
  const created: string[] = []
  const log = { ...quietLog, info: (message: string) => created.push(message) }
  await Promise.all(Array.from({ length: 8 }, () => claim(storage, { log })))
  expect(created.filter((message) => message.startsWith('created'))).toHaveLength(1)
})
