import { expect, test } from 'vitest'
import { checkNothingElse, readInventory } from '../../src/retention/inventory.ts'
import { day, Scenario } from './scenario.ts'

function healthyArchive(): Scenario {
  const archive = new Scenario()
  archive.wal(1, 1, 20, 1)
  archive.base(1, 5, 5)
  return archive
}

test.each([
  ['a file of no known kind', 'wal/notes.txt'],
  ['a file of no known kind in a directory of segments', '/wal/0000000100000000/notes.txt'],
  ['a segment in the wrong directory', 'wal/0000000200000000/000000010000000000000001.zst'],
  ['a segment whose name is impossible with this segment size', 'wal/0000000100000000/000000010000000000001000.zst'],
  ['a .partial without its digest', 'wal/0000000100000000/000000010000000000000001.partial.zst'],
  ['an unknown member of a backup', 'base/20260106T000000Z_000000010000000000000005/notes.txt'],
  ['a backup whose id is none', 'base/latest/backup.json'],
  ['a kind of a newer version', 'dump/20260106T000000Z/part-00001.zst'],
])('%s stops it and is named', async (_, path) => {
  const archive = healthyArchive()
  const key = archive.layout.prefix + path.replace(/^\//, '')
  archive.add(key, day(3), { size: 10 })
  await expect(archive.inventory()).rejects.toMatchObject({ code: 'unknown-object', object: key })
})

test.each([
  ['cut', '{"formatVersion":1', 'corrupt'],
  ['empty', '', 'corrupt'],
  ['of a newer format', '{"formatVersion":2}', 'newer-format'],
])('a backup.json that is %s stops it and is named', async (_, content, code) => {
  const archive = healthyArchive()
  const key = archive.layout.backupRecord('20260107T000000Z_000000010000000000000006')
  archive.add(key, day(6), { content })
  await expect(archive.inventory()).rejects.toMatchObject({ code, object: key })
})

test('a history that cannot be read stops it', async () => {
  const archive = healthyArchive()
  const failure = new Error('damaged history')
  const reading = readInventory(archive.storage(), archive.layout, () => Promise.reject(failure))
  await expect(reading).rejects.toBe(failure)
})

test('a cluster.json that is damaged, of a newer format or missing stops it', async () => {
  const archive = healthyArchive()
  const { record } = archive.layout
  archive.add(record, day(0), { content: '{}' })
  await expect(archive.inventory()).rejects.toMatchObject({ code: 'corrupt', object: record })
  archive.add(record, day(0), { content: '{"formatVersion":9}' })
  await expect(archive.inventory()).rejects.toMatchObject({ code: 'newer-format', object: record })
  archive.delete(record)
  await expect(archive.inventory()).rejects.toMatchObject({ code: 'archive-missing' })
})

test("a backup of another segment size than the cluster's stops it", async () => {
  const archive = healthyArchive()
  const record = JSON.parse(
    Buffer.from([...archive.objects].find(([key]) => key.endsWith('backup.json'))![1].content).toString(),
  )
  const key = archive.layout.backupRecord(record.id)
  archive.add(key, day(5), { content: JSON.stringify({ ...record, walSegmentSize: 16 * 2 ** 20 }) })
  await expect(archive.inventory()).rejects.toMatchObject({ code: 'corrupt', object: key })
})

test('below the name of a cluster there may be system identifiers only', async () => {
  const archive = healthyArchive()
  archive.add('main/7312345678901234568/cluster.json', day(0), { content: '{}' })
  await expect(checkNothingElse(archive.storage(), 'main')).resolves.toBeUndefined()
  for (const key of ['main/0/x', 'main/lost+found/x', 'main/notes.txt', 'main/7312345678901234567']) {
    archive.add(key, day(0), { size: 1 })
    await expect(checkNothingElse(archive.storage(), 'main')).rejects.toMatchObject({
      code: 'unknown-object',
      object: key,
    })
    archive.delete(key)
  }
})
