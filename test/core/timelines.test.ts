import { describe, expect, test } from 'vitest'
import { beginningOf, forkOf, includes, parseHistory, timelineAt } from '../../src/core/timelines.ts'

const text =
  '1\t0/3000000\tno recovery target specified\n\n# a comment\n  3\t0/5000148\tbefore 2026-11-22 03:15:00+00\n'

describe('a history file', () => {
  test('names the ancestors and where they were left', () => {
    expect(parseHistory(text, 4, 'x')).toEqual({
      timeline: 4,
      ancestors: [
        { timeline: 1, forkedAt: 0x3000000n },
        { timeline: 3, forkedAt: 0x5000148n },
      ],
    })
  })

  test.each([
    ['a parent that is not older', '4\t0/3000000\treason\n'],
    ['timelines that do not ascend', '2\t0/3000000\tx\n1\t0/4000000\tx\n'],
    ['the same timeline twice', '1\t0/3000000\tx\n1\t0/4000000\tx\n'],
    ['timeline 0', '0\t0/3000000\tx\n'],
    ['no LSN', '1\n'],
    ['a bad LSN', '1\t0:3000000\tx\n'],
    ['zeroes', '\0'.repeat(40)],
  ])('is refused for %s, by name', (_, bad) => {
    expect(() => parseHistory(bad, 4, 'wal/history/00000004.history.zst')).toThrow(/00000004\.history\.zst.*timeline 4/)
  })
})

describe('a timeline', () => {
  const history = parseHistory(text, 4, 'x')

  test('includes its ancestors up to where they were left, and nothing of others', () => {
    expect(includes(history, 4, 0xffff_ffffn)).toBe(true)
    expect(includes(history, 1, 0x3000000n)).toBe(true)
    expect(includes(history, 1, 0x3000001n)).toBe(false)
    expect(includes(history, 2, 0x1000000n)).toBe(false)
    expect(forkOf(history, 3)).toBe(0x5000148n)
    expect(forkOf(history, 4)).toBeUndefined()
  })

  test('is on the ancestor that wrote the byte', () => {
    expect(timelineAt(history, 0n)).toBe(1)
    expect(timelineAt(history, 0x3000000n)).toBe(3)
    expect(timelineAt(history, 0x5000147n)).toBe(3)
    expect(timelineAt(history, 0x5000148n)).toBe(4)
    expect(beginningOf(history)).toBe(0x5000148n)
    expect(beginningOf({ timeline: 1, ancestors: [] })).toBe(0n)
  })
})
