/** Durations as people write them: `500ms`, `30s`, `5m`, `12h`, `7d`, `1w`. */

const units = [
  ['w', 604_800_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const

/** What a duration looks like, for messages about one that is wrong. */
export const DURATION_FORM = 'a whole number with a unit: ms, s, m, h, d or w, such as 30s or 7d'

/** Milliseconds; undefined for anything but a whole number, directly followed by a unit, that stays a safe integer. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+)(ms|[smhdw])$/.exec(text)
  if (!match) return undefined
  const milliseconds = Number(match[1]) * units.find(([unit]) => unit === match[2])![1]
  return Number.isSafeInteger(milliseconds) ? milliseconds : undefined
}

/** A text, in at most days, that `parseDuration` reads back as the same whole number of milliseconds. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) return '0s'
  const [unit, factor] = units.find(([name, size]) => name !== 'w' && milliseconds % size === 0)!
  return `${milliseconds / factor}${unit}`
}
