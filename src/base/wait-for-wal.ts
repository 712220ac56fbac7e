/** Waits until the WAL that a backup needs is in the archive: without it the backup is worth nothing. */
import { firstMissingSegment } from '../archive/wal-inventory.ts'
import type { ClusterLayout } from '../core/archive-layout.ts'
import type { Clock } from '../core/clock.ts'
import { formatDuration } from '../core/duration.ts'
import { reasonOf, SeawallError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Lsn } from '../core/lsn.ts'
import { segmentName, segmentNumber, segmentNumberAt, segmentNumberBefore } from '../core/wal-names.ts'
import type { ArchiverState } from '../postgres/settings.ts'
import type { CallOptions, ReadableStorage } from '../storage/storage.ts'

const pollInterval = 500

export interface WalWait {
  readonly storage: ReadableStorage
  readonly layout: ClusterLayout
  readonly timeline: number
  readonly startLsn: Lsn
  readonly stopLsn: Lsn
  readonly segmentSize: number
  /** Milliseconds in which the archiver comes no closer. */
  readonly timeout: number
  readonly clock: Clock
  readonly log: Log
  /** The names of the WAL files that the server still has to archive. */
  readonly waitingFiles: () => Promise<ReadonlySet<string>>
  /** What the server's archiver has done; undefined if the server cannot be asked. */
  readonly archiver: () => Promise<Pick<ArchiverState, 'archivedCount' | 'lastArchived'> | undefined>
  /** Says what the server's archiver has to say, for the error. */
  readonly askArchiver: () => Promise<string>
}

interface Lack {
  readonly segment: string
  /** Whether the archive holds a segment of that name, which may be another server's. */
  readonly exists: boolean
}

/**
 * Returns when the archive holds every segment, and the server itself takes them for archived: a segment of the same
 * name that another server was first to archive is not the one that the backup needs.
 * @throws SeawallError `timeout` with the segment that was waited for and what the archiver says.
 */
export async function waitForWal(wait: WalWait, options: CallOptions): Promise<void> {
  const { clock, log, timeout } = wait
  const lackOf = lackFinder(wait, options)
  let known: string | undefined
  let since = clock.monotonic()
  for (;;) {
    options.signal?.throwIfAborted()
    const lack = await lackOf()
    if (lack === undefined) return
    if (known === undefined) log.info(`waiting for WAL segment ${lack.segment} to be archived`)
    const now = `${lack.segment} ${lack.exists} ${await distanceOf(wait, lack.segment)}`
    if (now !== known) {
      known = now
      since = clock.monotonic()
    }
    if (clock.monotonic() - since > timeout) throw await neverCame(wait, lack)
    await clock.sleep(pollInterval, options.signal)
    options.onProgress?.(0)
  }
}

/** Tells what is lacking now; looks no more for segments that it has seen in the archive. */
function lackFinder(wait: WalWait, options: CallOptions): () => Promise<Lack | undefined> {
  const { storage, layout, timeline, segmentSize } = wait
  const start = segmentNumberAt(wait.startLsn, segmentSize)
  const last = segmentNumberBefore(wait.stopLsn, segmentSize)
  let first = start
  return async () => {
    const missing = await firstMissingSegment(storage, layout, { timeline, first, last, segmentSize }, options)
    if (missing !== undefined) {
      first = segmentNumber(missing, segmentSize)
      return { segment: missing, exists: false }
    }
    first = last + 1n
    const waiting = await wait.waitingFiles()
    for (let number = start; number <= last; number += 1n) {
      const segment = segmentName(timeline, number, segmentSize)
      if (waiting.has(segment)) return { segment, exists: true }
    }
    return undefined
  }
}

/** Changes as long as the archiver works off what comes before the segment; not by what it does behind it. */
async function distanceOf({ archiver }: WalWait, segment: string): Promise<string> {
  const state = await archiver()
  const isBefore = state?.lastArchived !== undefined && state.lastArchived < segment
  return isBefore ? `${state.archivedCount} ${state.lastArchived}` : ''
}

async function neverCame({ storage, timeout, askArchiver }: WalWait, { segment, exists }: Lack): Promise<SeawallError> {
  let detail: string
  try {
    detail = await askArchiver()
  } catch (error) {
    detail = `the server could not be asked about its archiver: ${reasonOf(error)}`
  }
  return new SeawallError('timeout', {
    operation: 'wait for WAL segment',
    object: segment,
    reason: exists
      ? `${storage.url} holds one of that name, but the server has not archived its own: pg_wal/archive_status/${segment}.ready was there for ${formatDuration(timeout)}`
      : `it did not arrive in ${storage.url}, and the archiver came no closer to it, for ${formatDuration(timeout)}`,
    detail,
    hint: exists
      ? "The backup may not be restored with another server's WAL and was discarded. See the server's log for why archive_command fails, and find out who else archives into this place."
      : "The backup is useless without it and was discarded. See the server's log for why archive_command fails; raise --wal-timeout if it is only slow.",
  })
}
