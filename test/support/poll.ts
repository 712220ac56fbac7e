/** Waiting for something to become true, with a deadline, instead of sleeping. */

export interface PollOptions {
  /** Milliseconds. Default: 30 s. */
  readonly timeout?: number
  /** Milliseconds between two looks. Default: 25. */
  readonly interval?: number
  /** Further facts for the error when the deadline has passed. */
  readonly explain?: () => string
}

/**
 * Calls `look` until it returns something other than undefined and false, and returns that. What it throws is thrown.
 * @param what the thing waited for, for the error: "the archiver to fail".
 */
export async function waitFor<Value>(
  what: string,
  look: () => Value | Promise<Value>,
  { timeout = 30_000, interval = 25, explain }: PollOptions = {},
): Promise<Exclude<Value, undefined | false>> {
  const deadline = performance.now() + timeout
  for (;;) {
    const value = await look()
    if (value !== undefined && value !== false) return value as Exclude<Value, undefined | false>
    if (performance.now() > deadline) {
      throw new Error(`waited ${timeout} ms for ${what}${explain ? `\n${explain()}` : ''}`)
    }
    await new Promise((resolve) => setTimeout(resolve, interval))
  }
}
