/** Waits until the WAL that a backup needs is in the archive: without it the backup is worth nothing. */
import { firstMissingSegment } from '../archive/wal-inventory.ts'
import type { ClusterLayout } from '../core/archive-layout.ts'
import type { Clock } from '../core/clock.ts'
import { formatDuration } from '../core/duration.ts'
import { reasonOf, SeawallError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Lsn } from '../core/lsn.ts'
import { segmentNumber, segmentNumberAt, segmentNumberBefore } from '../core/wal-names.ts'
import type { CallOptions, ReadableStorage } from '../storage/storage.ts'

const pollInterval = 500

export interface WalWait {
  readonly storage: ReadableStorage
  readonly layout: ClusterLayout
  readonly timeline: number
  readonly startLsn: Lsn
  readonly stopLsn: Lsn
  readonly segmentSize: number
  /** Milliseconds without a new segment. */
  readonly timeout: number
  readonly clock: Clock
  readonly log: Log
  /** Says what the server's archiver has to say, for the error. */
  readonly askArchiver: () => Promise<string>
}

/** @throws SeawallError `timeout` with the segment that was waited for and what the archiver says. */
export async function waitForWal(wait: WalWait, options: CallOptions): Promise<void> {
  const { storage, layout, timeline, segmentSize, clock, log, timeout } = wait
  const last = segmentNumberBefore(wait.stopLsn, segmentSize)
  let first = segmentNumberAt(wait.startLsn, segmentSize)
  let waitingFor: string | undefined
  let since = clock.monotonic()
  for (;;) {
    options.signal?.throwIfAborted()
    const missing = await firstMissingSegment(storage, layout, { timeline, first, last, segmentSize }, options)
    if (missing === undefined) return
    first = segmentNumber(missing, segmentSize)
    if (missing !== waitingFor) {
      if (waitingFor === undefined) log.info(`waiting for WAL segment ${missing} to be archived`)
      waitingFor = missing
      since = clock.monotonic()
    }
    if (clock.monotonic() - since > timeout) throw await neverCame(wait, missing)
    await clock.sleep(pollInterval, options.signal)
    options.onProgress?.(0)
  }
}

async function neverCame({ storage, timeout, askArchiver }: WalWait, segment: string): Promise<SeawallError> {
  let detail: string
  try {
    detail = await askArchiver()
  } catch (error) {
    detail = `the server could not be asked about its archiver: ${reasonOf(error)}`
  }
  return new SeawallError('timeout', {
    operation: 'wait for WAL segment',
    object: segment,
    reason: `it did not arrive in ${storage.url}, and no other did, for ${formatDuration(timeout)}`,
    detail,
    hint: "The backup is useless without it and was discarded. See the server's log for why archive_command fails; raise --wal-timeout if it is only slow.",
  })
}
