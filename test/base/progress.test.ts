import { describe, expect, test } from 'vitest'
import { describeProgress, formatSeconds, reportProgress } from '../../src/base/progress.ts'
import type { Clock } from '../../src/core/clock.ts'
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
