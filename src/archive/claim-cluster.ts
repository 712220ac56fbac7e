/** The first thing every writer does: makes sure that the cluster's place in the archive is there, and is the right one. */
import { stat } from 'node:fs/promises'
import path from 'node:path'
import type { ClusterLayout } from '../core/archive-layout.ts'
import { SeawallError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { CallOptions, Storage } from '../storage/storage.ts'
import { type ClusterRecord, formatClusterRecord, readClusterRecord } from './cluster-record.ts'
import { systemIdentifiers } from './find-cluster.ts'
import type { RememberedArchives } from './remembered-archives.ts'

export interface Claim {
  readonly storage: Storage
  readonly layout: ClusterLayout
  readonly postgresMajor: number | null
  /** Bytes; undefined where only the archive tells, and then it must tell. */
  readonly walSegmentSize: number | undefined
  readonly remembered: RememberedArchives
  /** Start an empty archive even where a used one is remembered. */
  readonly createArchive: boolean
  /** The server's data directory, in which no state may lie; undefined if there is none. */
  readonly dataDirectory: string | undefined
  /** Who writes; undefined where the system has no such numbers. */
  readonly uid: number | undefined
  readonly log: Log
}

/**
 * Reads the cluster's record, or creates it on first use; remembers on this machine that the archive was used.
 * @throws SeawallError `archive-missing` if the record is gone from an archive that was used before, `refused` if the
 * WAL segment size differs or nobody knows it, `usage` if the state directory lies inside the data directory.
 */
export async function claimCluster(claim: Claim, options?: CallOptions): Promise<void> {
  const { storage, layout, remembered, log } = claim
  checkStateDirectory(claim)
  await refuseRoot(claim)
  const found = await readClusterRecord(storage, layout, options)
  if (found) {
    checkSegmentSize(claim, found)
    await rememberUse(claim)
    return
  }
  const { walSegmentSize, postgresMajor } = claim
  if (walSegmentSize === undefined) throw segmentSizeUnknown(claim)
  await refuseEmptiedArchive(claim, options)
  await remembered.prepare()
  const others = await systemIdentifiers(storage, layout.cluster, options)
  const record: ClusterRecord = { systemIdentifier: layout.systemIdentifier, postgresMajor, walSegmentSize }
  const created = await storage.putIfAbsent(layout.record, [Buffer.from(formatClusterRecord(record))], options)
  if (created === 'exists') {
    const winner = await readClusterRecord(storage, layout, options)
    if (!winner) throw vanished(claim)
    checkSegmentSize(claim, winner)
  }
  await remembered.add(storage.url, layout)
  if (created === 'created') log.info(`created ${layout.record} in ${storage.url}`)
  const elsewhere = others.filter((identifier) => identifier !== layout.systemIdentifier)
  if (elsewhere.length > 0) {
    log.info(
      `cluster "${layout.cluster}" was archived under system identifier ${elsewhere.join(', ')} before; ` +
        `${layout.systemIdentifier} has its own place beside it`,
    )
  }
}

function checkStateDirectory({ remembered, dataDirectory }: Claim): void {
  if (dataDirectory === undefined) return
  const relative = path.relative(dataDirectory, remembered.directory)
  if (relative === '..' || relative.startsWith(`..${path.sep}`) || path.isAbsolute(relative)) return
  throw new SeawallError('usage', {
    operation: 'use state directory',
    object: remembered.directory,
    reason: 'it lies inside the data directory, and would be copied and restored with it',
    hint: 'Give another directory with --state-dir.',
  })
}

/** What root creates in the archive, the server's own user cannot add to: archiving would stop with the next segment. */
async function refuseRoot({ dataDirectory, uid }: Claim): Promise<void> {
  if (uid !== 0 || dataDirectory === undefined || (await stat(dataDirectory)).uid === 0) return
  throw new SeawallError('refused', {
    operation: 'write to the archive as root for',
    object: dataDirectory,
    reason: 'its server runs as another user, who could not write there any more',
    hint: 'Run this as the user of the server: runuser -u postgres -- …',
  })
}

function checkSegmentSize({ walSegmentSize, layout, storage }: Claim, found: ClusterRecord): void {
  if (walSegmentSize === undefined || found.walSegmentSize === walSegmentSize) return
  throw new SeawallError('refused', {
    operation: 'archive into',
    object: `${storage.url} (${layout.prefix})`,
    reason: `its WAL segments have ${found.walSegmentSize} bytes, and this cluster's have ${walSegmentSize}`,
    hint: 'After pg_resetwal --wal-segsize, give the cluster a new name with --cluster and take a base backup.',
  })
}

/** A record that is there is good enough to go on; that it could not be remembered only weakens a later check. */
async function rememberUse({ storage, layout, remembered, log }: Claim): Promise<void> {
  try {
    if (await remembered.has(storage.url, layout)) return
    await remembered.prepare()
    await remembered.add(storage.url, layout)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    log.warn(`${message}; an archive that is emptied or not mounted may be taken for a new one`)
  }
}

async function refuseEmptiedArchive(claim: Claim, options?: CallOptions): Promise<void> {
  const { storage, layout, remembered, createArchive, log } = claim
  const used = await remembered.has(storage.url, layout)
  const orphans = (await storage.listDirectories(layout.prefix, options)).length > 0
  if (!used && !orphans) return
  const reason = used
    ? `there is no ${layout.record}, although this machine has archived there before`
    : `there is no ${layout.record}, although ${layout.prefix} holds other objects`
  if (createArchive) {
    log.warn(`${reason}; starting anew, as --create-archive says`)
    return
  }
  throw new SeawallError('archive-missing', {
    operation: 'use archive',
    object: storage.url,
    reason,
    hint: 'Is it mounted? Was it emptied? If it is meant to start anew, run this command once with --create-archive.',
  })
}

function segmentSizeUnknown({ storage, layout }: Claim): SeawallError {
  return new SeawallError('refused', {
    operation: 'begin to archive into',
    object: `${storage.url} (${layout.prefix})`,
    reason: 'neither the file nor pg_control tells the WAL segment size',
    hint: 'Archive a whole segment of this cluster first: it tells the size.',
  })
}

function vanished({ storage, layout }: Claim): SeawallError {
  return new SeawallError('archive-missing', {
    operation: 'use archive',
    object: storage.url,
    reason: `${layout.record} was there a moment ago and is gone`,
    hint: 'Find out what else changes the archive.',
  })
}
