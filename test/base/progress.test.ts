import { describe, expect, test } from 'vitest'
import { describeProgress, formatSeconds, reportProgress } from '../../src/base/progress.ts'
import { waitForWal } from '../../src/base/wait-for-wal.ts'
import { ClusterLayout } from '../../src/core/archive-layout.ts'
import type { Clock } from '../../src/core/clock.ts'
import { memoryStorage } from '../../src/storage/memory.ts'
import { quietLog } from '../support/wal-archive.ts'

/** A clock that only moves when somebody sleeps, or by hand. */
function fakeClock(onSleep: () => void | Promise<void> = () => {}): Clock & { advance(milliseconds: number): void } {
  let now = 0
  return {
    now: () => new Date(now),
    monotonic: () => now,
    advance: (milliseconds) => {
      now += milliseconds
    },
    async sleep(milliseconds, signal) {
      signal?.throwIfAborted()
      now += milliseconds
      await onSleep()
    },
  }
}

describe('progress', () => {
  test('says bytes, rate and what remains', () => {
    const mebibyte = 1024 * 1024
    expect(describeProgress(512 * mebibyte, 2048 * mebibyte, 4000)).toBe(
      '512 MiB of 2 GiB (25%), 128 MiB/s, 12s remaining',
    )
    expect(describeProgress(0, 0, 0)).toBe('0 B of 0 B (100%), 0 B/s')
    expect(describeProgress(10 * mebibyte, undefined, 2000)).toBe('10 MiB, 5 MiB/s')
    expect(describeProgress(11 * mebibyte, 10 * mebibyte, 2000)).toBe('11 MiB, 5.50 MiB/s')
    expect([0.4, 59.4, 61, 3599, 7260].map(formatSeconds)).toEqual(['0s', '59s', '1m 01s', '59m 59s', '2h 01m'])
  })

  test.each([
    { isTerminal: true, shown: 3, logged: 0 },
    { isTerminal: false, shown: 0, logged: 1 },
  ])('is shown on a terminal and logged now and then elsewhere: $isTerminal', ({ isTerminal, shown, logged }) => {
    const clock = fakeClock()
    const lines: string[] = []
    const messages: string[] = []
    const log = { ...quietLog, info: (message: string) => messages.push(message) }
    const progress = reportProgress('backed up', { clock, log, showProgress: (line) => lines.push(line), isTerminal })
    progress.expect(100)
    for (const pause of [300, 10, 300, 40_000]) {
      clock.advance(pause)
      progress.add(10)
    }
    progress.end()
    expect(lines.filter((line) => line !== '').length).toBe(shown)
    expect(lines.at(-1)).toBe('')
    expect(messages.length).toBe(logged)
    expect([...lines, ...messages].find((line) => line !== '')).toMatch(/^backed up \d+ B of 100 B/)
  })
})

describe('waiting for WAL', () => {
  const layout = new ClusterLayout('main', '7000000000000000001')
  const segments = ['000000010000000000000003', '000000010000000000000004', '000000010000000000000005']
  const range = { timeline: 1, startLsn: 0x300_0028n, stopLsn: 0x600_0000n, segmentSize: 1 << 24 }

  test('ends when every segment from start to stop is archived, and the time counts from the last new one', async () => {
    const storage = memoryStorage()
    let polls = 0
    const clock = fakeClock(async () => {
      polls += 1
      // Every four seconds one segment; the whole takes longer than the deadline.
      const index = polls / 8 - 1
      const segment = segments[index]
      if (segment) await storage.putIfAbsent(layout.segment(segment), [new Uint8Array(1)])
    })
    const askArchiver = async () => 'nothing'
    await waitForWal({ storage, layout, ...range, timeout: 5000, clock, log: quietLog, askArchiver }, {})
    expect(polls).toBe(24)
  })

  test('gives up with the segment, and what the archiver says', async () => {
    const storage = memoryStorage()
    await storage.putIfAbsent(layout.segment(segments[0]!), [new Uint8Array(1)])
    const wait = { storage, layout, ...range, timeout: 5000, clock: fakeClock(), log: quietLog }
    await expect(waitForWal({ ...wait, askArchiver: async () => 'it fails' }, {})).rejects.toMatchObject({
      code: 'timeout',
      object: segments[1],
      reason: 'it did not arrive in memory:, and no other did, for 5s',
      detail: 'it fails',
    })
    const broken = () => Promise.reject(new Error('gone'))
    await expect(waitForWal({ ...wait, askArchiver: broken }, {})).rejects.toMatchObject({
      object: segments[1],
      detail: 'the server could not be asked about its archiver: gone',
    })
  })
})
