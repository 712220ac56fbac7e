/** Waiting for somebody else, who is allowed to take long. */

const interval = 1000

/** Awaits what another process works at, and meanwhile keeps the deadline for time without progress from passing. */
export async function withPatience<Value>(progressed: () => void, work: Promise<Value>): Promise<Value> {
  const timer = setInterval(progressed, interval)
  try {
    return await work
  } finally {
    clearInterval(timer)
    progressed()
  }
}
