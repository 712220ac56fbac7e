import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseTarget, parseTargetTime, parseTargetTimeline, type TargetOptions } from '../../src/base/target.ts'

const none: TargetOptions = {
  'target-time': undefined,
  'target-lsn': undefined,
  'target-xid': undefined,
  'target-name': undefined,
  target: undefined,
}

describe('a target time', () => {
  test.each([
    ['2026-11-22 03:15:00+00', '2026-11-22 03:15:00.000000+00'],
    ['2026-11-22T03:15:00Z', '2026-11-22 03:15:00.000000+00'],
    ['2026-11-22 03:15 UTC', '2026-11-22 03:15:00.000000+00'],
    ['2026-11-22 03:15:00.123456+05:30', '2026-11-21 21:45:00.123456+00'],
    ['2026-12-31 23:59:59.9-0330', '2027-01-01 03:29:59.900000+00'],
    ['2028-02-29 12:00:00 -01', '2028-02-29 13:00:00.000000+00'],
  ])('%s is %s', (text, expected) => {
    expect(parseTargetTime(text)?.text).toBe(expected)
  })

  test.each([
    ['2026-11-22 03:15:00', /it has no time zone/],
    ['2026-11-22', /no date and time/],
    ['yesterday', /no date and time/],
    ['2026-02-30 00:00:00Z', /no such moment/],
    ['2026-11-22 24:00:00Z', /no such moment/],
    ['2026-11-22 23:60:00Z', /no such moment/],
    ['2026-11-22 03:15:00+16', /no such moment or offset/],
    ['2026-11-22 03:15:00 CET', /only offsets/],
    ['2026-11-22 03:15:00 Europe/Vienna', /only offsets/],
    ['2026-11-22 03:15:00.1234567Z', /no such moment/],
    [' 2026-11-22 03:15:00Z', /no date and time/],
  ])('%j is refused, and the message says why', (text, reason) => {
    expect(parseTargetTime(text)).toBeUndefined()
    expect(() => parseTarget({ ...none, 'target-time': text })).toThrow(reason)
  })

  test('means the same moment as the date that it was made of', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('1971-01-01'), max: new Date('2999-01-01'), noInvalidDate: true }),
        (date) => {
          expect(parseTargetTime(date.toISOString())?.date).toEqual(date)
        },
      ),
    )
  })
})

describe('a target', () => {
  test('is the end of WAL unless another is given', () => {
    expect(parseTarget(none)).toEqual({ kind: 'end' })
    expect(parseTarget({ ...none, 'target-lsn': '0/3000028' })).toEqual({ kind: 'lsn', lsn: 0x3000028n })
    expect(parseTarget({ ...none, target: 'immediate' })).toEqual({ kind: 'immediate' })
  })

  test('is refused beside another, and where it is none', () => {
    expect(() => parseTarget({ ...none, 'target-lsn': '0/3', 'target-xid': '7' })).toThrow(/--target-lsn is given too/)
    for (const lsn of ['3000028', '0/0', '0/xyz'])
      expect(() => parseTarget({ ...none, 'target-lsn': lsn })).toThrow(/LSN|WAL/)
    for (const xid of ['0', '007', '-1', 'x'])
      expect(() => parseTarget({ ...none, 'target-xid': xid })).toThrow(/transaction/)
    for (const name of ['', 'x'.repeat(64), 'a\nb']) {
      expect(() => parseTarget({ ...none, 'target-name': name })).toThrow(/restore point/)
    }
  })

  test('timelines are decimal numbers or "latest"', () => {
    expect(parseTargetTimeline(undefined)).toBeUndefined()
    expect(parseTargetTimeline('latest')).toBe('latest')
    expect(parseTargetTimeline('12')).toBe(12)
    for (const text of ['0', '-1', '1.5', '4294967296', 'current', '0x2', '']) {
      expect(() => parseTargetTimeline(text), text).toThrow(/no timeline/)
    }
  })
})
