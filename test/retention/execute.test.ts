import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ClusterLayout } from '../../src/core/archive-layout.ts'
import { execute } from '../../src/retention/execute.ts'
import { planForgetting } from '../../src/retention/forget.ts'
import type { Plan } from '../../src/retention/plan.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { backupsOf, day, keptKeys, removedKeys, Scenario } from './scenario.ts'

function agedArchive(): Scenario {
  const archive = new Scenario()
  archive.wal(1, 1, 40, 1)
  archive.base(1, 5, 5)
  archive.base(1, 12, 12)
  archive.base(1, 25, 25)
  archive.unfinishedBackup(1, 14, day(14))
  archive.sideFile(1, 5, 'backup', day(5))
  archive.fork(2, [[1, 8]], 8)
  archive.wal(2, 8, 12, 8)
  return archive
}

/** Dies after so many removals. */
function dying(storage: Storage, after: number): Storage {
  let left = after
  return {
    ...storage,
    remove: async (keys) => {
      for (const key of keys) {
        if (left-- <= 0) throw new Error('killed')
        await storage.remove([key])
      }
    },
  }
}

test('removes exactly what the plan says and nothing else', async () => {
  const archive = agedArchive()
  const plan = await archive.plan()
  const { removed } = await execute(archive.storage(), plan)
  expect(new Set(archive.objects.keys())).toEqual(keptKeys(plan))
  expect(archive.removed.sort()).toEqual(removedKeys(plan).sort())
  expect(removed).toBe(removedKeys(plan).length)
  expect(removed).toBeGreaterThan(30)
})

test('removes every backup.json before anything else, then what belongs to backups, then WAL, the oldest first', async () => {
  const archive = agedArchive()
  await execute(archive.storage(), await archive.plan())
  const kinds = archive.removed.map((key) =>
    key.endsWith('/backup.json') ? 'record' : key.includes('/base/') ? 'member' : 'wal',
  )
  expect(kinds.join(' ')).toMatch(/^(record )+(member )+wal( wal)*$/)
  const records = archive.removed.filter((key) => key.endsWith('/backup.json'))
  expect(records).toEqual([...records].sort())
  for (const timeline of ['/00000001', '/00000002']) {
    const segments = archive.removed.filter((key) => /\/[0-9A-F]{24}\.zst$/.test(key) && key.includes(timeline))
    expect(segments).toEqual([...segments].sort())
  }
  expect(archive.removed.some((key) => key.includes('/history/'))).toBe(false)
})

test('begins with the timeline whose WAL is oldest, whatever its number', async () => {
  const archive = new Scenario()
  archive.wal(1, 30, 60, 30)
  archive.base(1, 50, 50)
  archive.fork(3, [[1, 1]], 2)
  archive.wal(3, 2, 6, 2)
  const segments = removedKeys(await archive.plan()).map((key) => key.split('/').at(-1)!.slice(0, 8))
  expect([...new Set(segments)]).toEqual(['00000003', '00000001'])
})

test('a plan names the backup.json of each backup before its other objects', async () => {
  const plan = await agedArchive().plan()
  const complete = plan.entries.filter(({ name }) => name.startsWith('backup '))
  expect(complete).toHaveLength(3)
  for (const entry of complete) expect([...entry.objects()][0]!.key).toMatch(/\/backup\.json$/)
})

test('a second run, or another one at the same time, removes nothing more', async () => {
  const archive = agedArchive()
  const [first, second] = [await archive.plan(), await archive.plan()]
  const storage = archive.storage()
  await Promise.all([execute(storage, first), execute(storage, second)])
  expect(new Set(archive.objects.keys())).toEqual(keptKeys(first))
  expect(removedKeys(await archive.plan())).toEqual([])
})

test('what is archived while it runs stays', async () => {
  const archive = agedArchive()
  const plan = await archive.plan()
  archive.wal(1, 41, 45, 41)
  const late = archive.base(1, 42, 42)
  await execute(archive.storage(), plan)
  expect(backupsOf(await archive.plan()).kept).toContain(late)
})

test('a backup that its base-push completed after the plan was made stays', async () => {
  const archive = agedArchive()
  const plan = await archive.plan()
  const incomplete = plan.entries.find(({ name }) => name.startsWith('incomplete backup'))!
  expect(incomplete.keep).toBe(false)
  const members = [...incomplete.objects()].map(({ key }) => key)
  const record = members[0]!.replace(/[^/]*$/, 'backup.json')
  archive.objects.set(record, archive.objects.get(members[0]!)!)
  await execute(archive.storage(), plan)
  for (const key of [...members, record]) expect([key, archive.objects.has(key)]).toEqual([key, true])
})

test('killed anywhere, it leaves only backups that count, and the next run finishes', async () => {
  const total = removedKeys(await agedArchive().plan()).length
  await fc.assert(
    fc.asyncProperty(fc.nat(total), async (after) => {
      const archive = agedArchive()
      const wanted = keptKeys(await archive.plan())
      await execute(dying(archive.storage(), after), await archive.plan()).catch((error: Error) => {
        expect(error.message).toBe('killed')
      })
      const next = await archive.plan()
      expect(next.notes.filter((note) => note.includes('does not count'))).toEqual([])
      await execute(archive.storage(), next)
      expect(new Set(archive.objects.keys())).toEqual(wanted)
    }),
  )
})

test('stops when it is told to', async () => {
  const archive = agedArchive()
  const before = archive.objects.size
  const reason = new Error('interrupted')
  const executing = execute(archive.storage(), await archive.plan(), { signal: AbortSignal.abort(reason) })
  await expect(executing).rejects.toBe(reason)
  expect(archive.objects.size).toBe(before)
})

test('sweeps what dead writers left more than a day ago', async () => {
  const archive = agedArchive()
  const swept: unknown[] = []
  const storage: Storage = {
    ...archive.storage(),
    removeAbandoned: async (prefix, before) => {
      swept.push([prefix, before])
      return 3
    },
  }
  expect(await execute(storage, await archive.plan({ now: 50 }))).toMatchObject({ abandoned: 3 })
  expect(swept).toEqual([[archive.layout.prefix, day(49)]])
})

describe('forgetting a system identifier', () => {
  const forget = (archive: Scenario): Promise<Plan> => planForgetting(archive.storage(), archive.layout, day(50))

  test('removes everything, the last backup too, and nothing of others', async () => {
    const archive = agedArchive()
    const other = 'main/7312345678901234568/cluster.json'
    archive.add(other, day(0), { size: 1 })
    await execute(archive.storage(), await forget(archive))
    expect([...archive.objects.keys()]).toEqual([other])
  })

  test('removes cluster.json first, so that nobody takes an absence for the end of WAL, then every backup.json', async () => {
    const archive = agedArchive()
    await execute(archive.storage(), await forget(archive))
    expect(archive.removed[0]).toBe(archive.layout.record)
    expect(archive.removed.slice(1, 4).every((key) => key.endsWith('/backup.json'))).toBe(true)
    expect(archive.removed.slice(4).some((key) => key.endsWith('/backup.json'))).toBe(false)
    expect(archive.removed.at(-1)).toBe(archive.layout.history(2))
  })

  test('needs no readable object, and can be repeated after it was interrupted anywhere', async () => {
    for (let after = 0; after < 60; after += 7) {
      const archive = agedArchive()
      archive.add(archive.layout.backupRecord('20260107T000000Z_000000010000000000000006'), day(6), { content: '{' })
      await expect(execute(dying(archive.storage(), after), await forget(archive))).rejects.toThrow('killed')
      await execute(archive.storage(), await forget(archive))
      expect(archive.objects.size).toBe(0)
    }
  })

  test('works with every segment size', async () => {
    const archive = new Scenario()
    archive.segment(1, 0xfff, day(1))
    archive.segment(1, 0x1000, day(1))
    await execute(archive.storage(), await forget(archive))
    expect(archive.objects.size).toBe(0)
  })

  test('refuses an identifier that is not there, and an object that it does not know', async () => {
    const archive = agedArchive()
    const elsewhere = new ClusterLayout('main', '7312345678901234568')
    await expect(planForgetting(archive.storage(), elsewhere, day(50))).rejects.toMatchObject({ code: 'usage' })
    archive.add(`${archive.layout.prefix}notes.txt`, day(1), { size: 1 })
    await expect(forget(archive)).rejects.toMatchObject({ code: 'unknown-object' })
  })
})
