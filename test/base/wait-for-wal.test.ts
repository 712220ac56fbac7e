import { expect, test } from 'vitest'
import { type WalWait, waitForWal } from '../../src/base/wait-for-wal.ts'
import { ClusterLayout } from '../../src/core/archive-layout.ts'
import type { Clock } from '../../src/core/clock.ts'
import { segmentName } from '../../src/core/wal-names.ts'
import { memoryStorage } from '../../src/storage/memory.ts'
import { putSegment, quietLog, testSegmentSize } from '../support/wal-archive.ts'

const layout = new ClusterLayout('main', '7000000000000000001')
const name = (number: number) => segmentName(1, BigInt(number), testSegmentSize)
const minute = 60_000

/** A backup of segments 5 and 6; `each` happens after every second of waiting. */
function waiting(each: (second: number) => Promise<void> | void, more: Partial<WalWait> = {}) {
  const storage = memoryStorage()
  let time = 0
  const clock: Clock = {
    now: () => new Date(time),
    monotonic: () => time,
    sleep: async (milliseconds) => {
      time += milliseconds
      if (time > 100 * minute) throw new Error('it waits for ever')
      if (time % 1000 === 0) await each(time / 1000)
    },
  }
  const wait: WalWait = {
    storage,
    layout,
    timeline: 1,
    startLsn: 5n * BigInt(testSegmentSize),
    stopLsn: 6n * BigInt(testSegmentSize) + 100n,
    segmentSize: testSegmentSize,
    timeout: minute,
    clock,
    log: quietLog,
    waitingFiles: async () => new Set(),
    archiver: async () => undefined,
    askArchiver: async () => 'the archiver says nothing',
    ...more,
  }
  return { storage, run: () => waitForWal(wait, {}), seconds: () => time / 1000 }
}

test('returns when every segment is archived', async () => {
  const { storage, run, seconds } = waiting(async (second) => {
    if (second === 50) await putSegment(storage, layout, name(5))
    if (second === 100) await putSegment(storage, layout, name(6))
  })
  await run()
  expect(seconds()).toBe(100)
})

test('gives up with the missing segment, also where the server cannot be asked', async () => {
  const { storage, run } = waiting(() => {}, { askArchiver: () => Promise.reject(new Error('gone')) })
  await putSegment(storage, layout, name(5))
  await expect(run()).rejects.toMatchObject({
    code: 'timeout',
    object: name(6),
    reason: expect.stringContaining('it did not arrive in memory:'),
    detail: 'the server could not be asked about its archiver: gone',
  })
})

test('an archiver that works off a backlog before the first segment is not too slow', async () => {
  let archived = 0
  const { storage, run, seconds } = waiting(
    async (second) => {
      if (second % 50 !== 0) return
      archived += 1
      if (archived >= 5) await putSegment(storage, layout, name(archived))
    },
    { archiver: async () => ({ archivedCount: BigInt(archived), lastArchived: name(archived) }) },
  )
  await run()
  expect(seconds()).toBe(300)
})

test('an archiver that has gone past the segment brings it no closer', async () => {
  let archived = 5
  const { run, seconds } = waiting(
    () => {
      archived += 1
    },
    { archiver: async () => ({ archivedCount: BigInt(archived), lastArchived: name(archived) }) },
  )
  await expect(run()).rejects.toMatchObject({ code: 'timeout', object: name(5) })
  expect(seconds()).toBeLessThan(65)
})

test('segments that the server itself still has to archive are not its own', async () => {
  const files = new Set([name(5), name(6), name(7)])
  const stuck = waiting(() => {}, { waitingFiles: async () => files })
  for (const number of [5, 6]) await putSegment(stuck.storage, layout, name(number))
  await expect(stuck.run()).rejects.toMatchObject({
    code: 'timeout',
    object: name(5),
    reason: expect.stringMatching(/holds one of that name.*0005\.ready/),
  })

  files.delete(name(5))
  await expect(stuck.run()).rejects.toMatchObject({ object: name(6) })
  files.delete(name(6))
  await stuck.run()
})
