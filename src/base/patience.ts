/** Waiting for somebody else, who is allowed to take long. */

const interval = 1000

/**
 * Awaits what the server or the disk works at, and meanwhile keeps the deadline for time without progress from passing.
 * @param limit milliseconds after which the deadline counts again. Default: none.
 */
export async function withPatience<Value>(
  progressed: () => void,
  work: Promise<Value>,
  limit = Number.POSITIVE_INFINITY,
): Promise<Value> {
  const end = performance.now() + limit
  const timer = setInterval(() => {
    if (performance.now() < end) progressed()
  }, interval)
  try {
    return await work
  } finally {
    clearInterval(timer)
    progressed()
  }
}

/** How long a disk may take to write out what it has accepted: a slow one needs minutes for what memory has buffered. */
export const SYNC_PATIENCE = 600_000
