/** Brings one WAL file back from the archive, or finds out that it really is not there. */
import { requireClusterRecord } from '../archive/cluster-record.ts'
import { listPartials } from '../archive/wal-inventory.ts'
import { openWal, type WalObject } from '../archive/wal-object.ts'
import type { Codec } from '../codec/codec.ts'
import type { ClusterLayout } from '../core/archive-layout.ts'
import { SeawallError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { historyName, type WalFile } from '../core/wal-names.ts'
import type { CallOptions, ReadableStorage } from '../storage/storage.ts'
import { evidenceOfTimeline, findHole } from './hole.ts'
import { writeVerified } from './write-verified.ts'

export interface FetchRequest {
  readonly storage: ReadableStorage
  readonly codec: Codec
  readonly layout: ClusterLayout
  readonly file: WalFile
  readonly log: Log
  /** Absolute path at which the file appears, complete and verified, or not at all. */
  readonly destination: string
}

/**
 * @returns `absent` only if the archive was reached, carries this cluster, has no such file, and nothing in it says that
 * the file must have existed.
 * @throws SeawallError for everything else; `transient` where a further attempt may do better.
 */
export async function fetchWalFile(request: FetchRequest, options: CallOptions): Promise<'done' | 'absent'> {
  const object = await openStored(request, options)
  const { storage, codec, layout, file } = request
  if (object) {
    const destination = { path: request.destination, file, systemIdentifier: layout.systemIdentifier }
    await writeVerified(destination, object, options)
    return 'done'
  }
  const { walSegmentSize } = await requireClusterRecord(storage, layout, options)
  if (file.kind === 'history') await warnOfLostHistory(request, file.timeline, options)
  if (file.kind !== 'segment') return 'absent'
  const evidence = await findHole(storage, codec, layout, file.segment, walSegmentSize, options)
  if (evidence === undefined) return 'absent'
  throw new SeawallError('not-found', {
    operation: 'fetch',
    object: file.name,
    reason: `the archived WAL has a hole: ${file.name} is missing, and ${evidence}`,
    hint: 'Archive the segment from pg_wal of a server that still has it, or recover to a target before the hole.',
    // The segment may be on its way: archivers do not always finish in order.
    transient: true,
  })
}

/** Recovery goes on without the history, and the log must say what that may mean. */
async function warnOfLostHistory(
  { storage, codec, layout, log }: FetchRequest,
  timeline: number,
  options: CallOptions,
): Promise<void> {
  const evidence = await evidenceOfTimeline(storage, codec, layout, timeline, options)
  if (evidence === undefined) return
  log.warn(
    `${historyName(timeline)} is not in the archive, although ${evidence}: recovery cannot follow timeline ${timeline}, ` +
      'and a promotion may take its number again',
  )
}

async function openStored(request: FetchRequest, options: CallOptions): Promise<WalObject | undefined> {
  const { storage, codec, layout, file } = request
  const expected = { name: file.name, systemIdentifier: layout.systemIdentifier }
  if (file.kind !== 'partial') return openWal(storage, codec, layout.wal(file, ''), expected, options)
  const keys = await listPartials(storage, layout, file.segment, options)
  if (keys.length > 1) {
    throw new SeawallError('refused', {
      operation: 'fetch',
      object: file.name,
      reason: `the archive holds ${keys.length} of them with different content: ${keys.join(', ')}`,
      hint: 'Choose one and decompress it with zstd -d.',
    })
  }
  return keys[0] === undefined ? undefined : openWal(storage, codec, keys[0], expected, options)
}
