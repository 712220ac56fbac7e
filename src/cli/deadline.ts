/** The deadline for time without progress. */

export interface Deadline {
  /** Starts the time anew. */
  readonly progressed: () => void
  readonly stop: () => void
}

/** Longest delay that a timer of Node takes. */
const longestDelay = 2 ** 31 - 1

/**
 * Calls `expired` once, when so many milliseconds have gone by without `progressed`. Does not keep the process alive:
 * where nothing is under way any more, nothing can progress.
 */
export function startDeadline(milliseconds: number, expired: () => void): Deadline {
  let last = performance.now()
  let timer: NodeJS.Timeout
  const schedule = (delay: number) => {
    timer = setTimeout(check, Math.min(Math.ceil(delay), longestDelay))
    timer.unref()
  }
  const check = () => {
    const left = last + milliseconds - performance.now()
    if (left > 0) schedule(left)
    else expired()
  }
  schedule(milliseconds)
  return {
    progressed: () => {
      last = performance.now()
    },
    stop: () => clearTimeout(timer),
  }
}
