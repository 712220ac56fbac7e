import type { Level } from './codec.ts'

/** Refuses what is no level: a defect of the caller, because options are checked before. */
export function checkLevel(level: Level, maxLevel: number): void {
  if (level === 'none' || (Number.isInteger(level) && level >= 1 && level <= maxLevel)) return
  throw new RangeError(`not a compression level from 1 to ${maxLevel}, nor none: ${level}`)
}
