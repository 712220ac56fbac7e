/** `cluster.json`: says that a cluster's place in the archive is really there, and what belongs into it. */
import { type ClusterLayout, FORMAT_VERSION } from '../core/archive-layout.ts'
import { SeawallError } from '../core/errors.ts'
import { newerFormat, parseObject } from '../core/json-record.ts'
import { isSegmentSize } from '../core/wal-names.ts'
import { readWhole } from '../storage/read-whole.ts'
import type { CallOptions, ReadableStorage } from '../storage/storage.ts'

export interface ClusterRecord {
  readonly systemIdentifier: string
  /** Major version of PostgreSQL; null if it was not known to the writer. */
  readonly postgresMajor: number | null
  /** Bytes. */
  readonly walSegmentSize: number
}

const maxSize = 64 * 1024

export function formatClusterRecord(record: ClusterRecord): string {
  return `${JSON.stringify({ formatVersion: FORMAT_VERSION, ...record })}\n`
}

/**
 * Reads the record; undefined if the archive says that there is none.
 * @throws SeawallError `newer-format`, `corrupt`, or what the storage throws.
 */
export async function readClusterRecord(
  storage: ReadableStorage,
  layout: ClusterLayout,
  options?: CallOptions,
): Promise<ClusterRecord | undefined> {
  const bytes = await readWhole(storage, layout.record, maxSize, options)
  if (!bytes) return undefined
  const json = parseObject(Buffer.from(bytes).toString('utf8'), layout.record)
  const { formatVersion, systemIdentifier, postgresMajor, walSegmentSize } = json
  if (typeof formatVersion === 'number' && formatVersion > FORMAT_VERSION) {
    throw newerFormat(layout.record, formatVersion)
  }
  const valid =
    formatVersion === FORMAT_VERSION &&
    systemIdentifier === layout.systemIdentifier &&
    (postgresMajor === null || Number.isInteger(postgresMajor)) &&
    isSegmentSize(walSegmentSize as number)
  if (!valid) {
    throw new SeawallError('corrupt', {
      operation: 'read the cluster record',
      object: layout.record,
      reason: `it does not describe system identifier ${layout.systemIdentifier}`,
      hint: 'The archive is damaged or was changed by hand. Restore cluster.json from a copy of the archive.',
    })
  }
  return {
    systemIdentifier: layout.systemIdentifier,
    postgresMajor: postgresMajor as number | null,
    walSegmentSize: walSegmentSize as number,
  }
}

/**
 * The record of a cluster that must be there, as for every reader: without it nothing can be said to be absent.
 * @throws SeawallError `archive-missing`
 */
export async function requireClusterRecord(
  storage: ReadableStorage,
  layout: ClusterLayout,
  options?: CallOptions,
): Promise<ClusterRecord> {
  const record = await readClusterRecord(storage, layout, options)
  if (record) return record
  throw new SeawallError('archive-missing', {
    operation: 'find the cluster in the archive',
    object: storage.url,
    reason: `there is no ${layout.record}`,
    hint: 'Check --archive and --cluster, and whether the archive is mounted.',
  })
}
