import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatLsn, parseLsn } from '../../src/core/lsn.ts'

test('text and value say the same', () => {
  expect(parseLsn('16/B374D848')).toBe(0x16_b374_d848n)
  expect(formatLsn(0x16_b374_d848n)).toBe('16/B374D848')
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (lsn) => {
      expect(parseLsn(formatLsn(lsn))).toBe(lsn)
    }),
  )
})

test.each(['', '0', '0/', '/0', '0/0/0', '100000000/0', '0/100000000', '0x1/0', ' 0/0', '0/0\n', 'g/0'])(
  '%j is no LSN',
  (text) => {
    expect(parseLsn(text)).toBeUndefined()
  },
)
