/** The deadline for time without progress. */

export interface Deadline {
  /** Starts the time anew. */
  readonly progressed: () => void
  /** Shortens the time; never lengthens it. */
  readonly limit: (milliseconds: number) => void
  readonly stop: () => void
}

/** Longest delay that a timer of Node takes. */
const longestDelay = 2 ** 31 - 1

/**
 * Calls `expired` once, with the time that was allowed, when so many milliseconds have gone by without `progressed`. Does not keep the process alive:
 * where nothing is under way any more, nothing can progress.
 */
export function startDeadline(milliseconds: number, expired: (milliseconds: number) => void): Deadline {
  let last = performance.now()
  let limit = milliseconds
  let timer: NodeJS.Timeout
  const schedule = (delay: number) => {
    timer = setTimeout(check, Math.min(Math.ceil(delay), longestDelay))
    timer.unref()
  }
  const check = () => {
    const left = last + limit - performance.now()
    if (left > 0) schedule(left)
    else expired(limit)
  }
  schedule(limit)
  return {
    progressed: () => {
      last = performance.now()
    },
    limit: (shorter) => {
      if (shorter >= limit) return
      limit = shorter
      clearTimeout(timer)
      check()
    },
    stop: () => clearTimeout(timer),
  }
}
