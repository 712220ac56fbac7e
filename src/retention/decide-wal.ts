/** Which WAL is kept and why. The argument stands in plan.ts. */

export interface Verdict {
  readonly keep: boolean
  readonly reason: string
}

/** All WAL of any timeline from this segment on. */
export interface Floor {
  readonly number: number
  readonly reason: string
}

/** Segments of one timeline, both ends included. */
export interface Range {
  readonly timeline: number
  readonly first: number
  readonly last: number
  readonly reason: string
}

export interface WalRules {
  readonly floor: Floor
  readonly ranges: readonly Range[]
  /** Timelines of which everything is kept that was archived since `windowStart` (milliseconds since 1970). */
  readonly unserved: ReadonlySet<number>
  readonly windowStart: number
}

/** The verdict on a WAL file, by its timeline, its segment's number, and when it was archived (milliseconds). */
export type Judge = (timeline: number, number: number, time: number) => Verdict

/** Equal verdicts are the same object. */
export function judgeWal(rules: WalRules): Judge {
  const fromFloor: Verdict = { keep: true, reason: rules.floor.reason }
  const unserved: Verdict = { keep: true, reason: 'inside the window, on a timeline that no backup leads to yet' }
  const tooOld: Verdict = { keep: false, reason: 'before the start of every kept backup' }
  const ranges = rules.ranges.map((range) => ({ ...range, verdict: { keep: true, reason: range.reason } }))
  return (timeline, number, time) => {
    if (number >= rules.floor.number) return fromFloor
    if (time >= rules.windowStart && rules.unserved.has(timeline)) return unserved
    const range = ranges.find((each) => each.timeline === timeline && each.first <= number && number <= each.last)
    return range?.verdict ?? tooOld
  }
}
