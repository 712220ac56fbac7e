/** The one policy for trying again: only what may pass by itself, with growing pauses, within a budget. */
import type { Clock } from './clock.ts'
import { SeawallError } from './errors.ts'
import type { Log } from './log.ts'

export interface RetryPolicy {
  /** Milliseconds after which no further attempt is begun. */
  readonly budget: number
  /** Asked before each further attempt; true ends the trying with the last error. */
  readonly giveUp?: () => Promise<boolean>
}

const firstPause = 100
const longestPause = 2000

/** Calls `attempt` until it succeeds, fails for good (no `SeawallError` marked transient), or the budget is used up. */
export async function retry<Result>(
  attempt: () => Promise<Result>,
  policy: RetryPolicy,
  { clock, log, signal }: { clock: Clock; log: Log; signal: AbortSignal },
): Promise<Result> {
  const end = clock.monotonic() + policy.budget
  for (let pause = firstPause; ; pause = Math.min(pause * 2, longestPause)) {
    try {
      return await attempt()
    } catch (error) {
      const transient = error instanceof SeawallError && error.transient && !signal.aborted
      if (!transient || clock.monotonic() + pause > end || (await policy.giveUp?.())) throw error
      log.warn(`${error.message}; trying again`, { pauseMilliseconds: pause })
      await clock.sleep(pause, signal)
    }
  }
}
