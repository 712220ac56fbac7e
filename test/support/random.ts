/** Random numbers that can be had again: the seed is printed, and SEAWALL_TEST_SEED sets it. */

export interface Random {
  readonly seed: number
  /** From 0 up to, but not including, 1. */
  next(): number
  /** A whole number from 0 up to, but not including, `end`. */
  below(end: number): number
}

/** @param what names the test in the printed line. */
export function seededRandom(what: string): Random {
  const seed = Number(process.env.SEAWALL_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32))
  process.stdout.write(`${what}: SEAWALL_TEST_SEED=${seed}\n`)
  let state = seed >>> 0
  // mulberry32, by Tommy Ettinger, in the public domain.
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return { seed, next, below: (end) => Math.floor(next() * end) }
}
