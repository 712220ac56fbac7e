/** Time as a parameter, so that everything that depends on it can be tested. */

export interface Clock {
  /** The wall clock. */
  now(): Date
  /** Milliseconds of a clock that never goes back. */
  monotonic(): number
  /** Resolves after so many milliseconds; rejects with the signal's reason when it is aborted. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const aborted = () => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', aborted)
        resolve()
      }, milliseconds)
      signal?.addEventListener('abort', aborted, { once: true })
    }),
}
