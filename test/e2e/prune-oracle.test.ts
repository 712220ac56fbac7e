/**
 * Real servers on three timelines, one of them abandoned, one after a recovery that went back below an older backup; a
 * real prune; then the oldest moment of the window is restored on every live branch.
 */
import { mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { archivingCluster, momentNow, newDirectory, restoreBackup, takeBackup } from '../support/base-backups.ts'
import type { Cluster } from '../support/cluster.ts'
import { giveToServersUser } from '../support/servers-user.ts'
import { filesBelow } from '../support/tree.ts'

test('after a prune every live branch is restored to the oldest moment of the window, and what is older is gone', async () => {
  const source = await archivingCluster({ segmentSize: 1 })
  const { archive, cluster: primary } = source
  await primary.query('create table told (word text primary key)')

  /** Commits a word and waits until it is archived, so that recovery can find an end after the moment before. */
  const tell = async (cluster: Cluster, word: string) => {
    await cluster.query('insert into told values ($1)', [word])
    await cluster.waitUntilArchived(await cluster.switchWal())
  }
  const branchAt = async (moment: string): Promise<Cluster> => {
    const args = ['--target-time', moment, '--target-timeline', '1', '--keep-archiving']
    const { restored } = await restoreBackup(archive, 18, args)
    await restored.start()
    await restored.waitForPromotion()
    return restored
  }
  const wordsAt = async (timeline: number, moment: string): Promise<string[]> => {
    const args = ['--target-time', moment, '--target-timeline', String(timeline)]
    const { restored } = await restoreBackup(archive, 18, args)
    await restored.start()
    await restored.waitForPromotion()
    const rows = await restored.query<{ word: string }>('select word from told order by word')
    await restored.dispose()
    return rows.map(({ word }) => word)
  }
  // Timeline 1: backup A, a moment to return to, much WAL, backup B.
  await tell(primary, '1 before A')
  const a = await takeBackup(source)
  await tell(primary, '1 after A')
  const early = await momentNow(primary)
  for (let segment = 0; segment < 12; segment++) await tell(primary, `1 much ${segment + 10}`)
  const b = await takeBackup(source)

  // Timeline 2: a copy that archived for a moment and was given up.
  const abandoned = await branchAt(early)
  await tell(abandoned, '2 abandoned')
  await abandoned.dispose()

  // Timeline 3: a recovery from A to below B, and backup C, which lies below B.
  const recovered = await branchAt(early)
  await tell(recovered, '3 before C')
  const c = await takeBackup({ archive, cluster: recovered })
  expect(c.timeline).toBe(3)
  expect(positionOf(c.stopLsn)).toBeLessThan(positionOf(b.startLsn))
  await tell(recovered, '3 after C')
  await tell(primary, '1 after B')

  // The window begins here; both lines go on.
  const oldest = await momentNow(primary)
  await tell(primary, '1 in window')
  await tell(recovered, '3 in window')
  const middle = await momentNow(primary)
  await tell(primary, '1 late')
  await tell(recovered, '3 late')
  await primary.stop()
  await recovered.stop()

  const line1 = ['1 after A', '1 after B', '1 before A', ...Array.from({ length: 12 }, (_, n) => `1 much ${n + 10}`)]
  const line3 = ['1 after A', '1 before A', '3 after C', '3 before C']
  const moments: [number, string, string[]][] = [
    [1, oldest, line1],
    [3, oldest, line3],
    [1, middle, [...line1, '1 in window'].sort()],
    [3, middle, [...line3, '3 in window'].sort()],
  ]

  // What a killed base-push left days ago.
  const unfinished = join(archive.root, 'main', a.systemIdentifier, 'base/20260101T000000Z_000000010000000000000001')
  mkdirSync(unfinished)
  writeFileSync(join(unfinished, 'part-00001.tar.zst'), 'unfinished')
  giveToServersUser(unfinished)
  const longAgo = new Date(Date.now() - 2 * 86_400_000)
  utimesSync(join(unfinished, 'part-00001.tar.zst'), longAgo, longAgo)

  const newest = Math.max(
    ...filesBelow(archive.root)
      .filter((path) => /\/[0-9A-F]{24}\.zst$/.test(path))
      .map((path) => statSync(join(archive.root, path)).mtimeMs),
  )
  const window = `${Math.ceil(newest - Date.parse(oldest))}ms`
  const pruned = await archive.call('wal-prune', ['--window', window])
  expect(pruned).toMatchObject({ code: 0, stderr: '' })

  const remaining = filesBelow(archive.root)
  const ids = new Set(remaining.map((path) => /\/base\/([^/]+)\//.exec(path)?.[1]).filter((id) => id !== undefined))
  expect(ids).toEqual(new Set([b.id, c.id]))
  expect(remaining.filter((path) => /\/00000002[0-9A-F]{16}\./.test(path))).toEqual([])
  const lowest = Math.floor(positionOf(c.startLsn) / 2 ** 20)
  const segments = remaining.map((path) => /\/[0-9A-F]{16}([0-9A-F]{8})\.zst$/.exec(path)?.[1]).filter(Boolean)
  expect(Math.min(...segments.map((digits) => Number.parseInt(digits!, 16)))).toBe(lowest)
  expect(remaining.filter((path) => path.endsWith('.history.zst'))).toHaveLength(2)

  for (const [timeline, moment, words] of moments) {
    expect(await wordsAt(timeline, moment), `timeline ${timeline} at ${moment}`).toEqual(words)
  }
  const gone = await archive.call('base-fetch', ['--target-time', early, '--target-timeline', '1', newDirectory()])
  expect(gone).toMatchObject({ code: 9, stderr: expect.stringContaining('ended after it') })
})

function positionOf(lsn: string): number {
  const [high, low] = lsn.split('/') as [string, string]
  return Number.parseInt(high, 16) * 2 ** 32 + Number.parseInt(low, 16)
}
