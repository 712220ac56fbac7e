import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatDuration, parseDuration } from '../../src/core/duration.ts'

describe('durations', () => {
  test.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['12h', 43_200_000],
    ['7d', 604_800_000],
    ['1w', 604_800_000],
    ['0s', 0],
    ['007d', 604_800_000],
  ])('%s is %i milliseconds', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds)
  })

  test.each([
    '',
    '7',
    'd',
    '7 d',
    ' 7d',
    '7d ',
    '7D',
    '-7d',
    '+7d',
    '1.5h',
    '1h30m',
    '7days',
    '1e3s',
    '0x10s',
    '7d\n',
    '999999999999w',
  ])('%j is none', (text) => {
    expect(parseDuration(text)).toBeUndefined()
  })

  test.each([
    [0, '0s'],
    [1, '1ms'],
    [1500, '1500ms'],
    [30_000, '30s'],
    [604_800_000, '7d'],
    [90_000_000, '25h'],
  ])('%i milliseconds are written %s', (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text)
  })

  test('what is written is read back as the same', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (milliseconds) => {
        expect(parseDuration(formatDuration(milliseconds))).toBe(milliseconds)
      }),
    )
  })
})
