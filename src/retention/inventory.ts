/**
 * What is archived under one system identifier, read whole before anything is decided: an object that this version does
 * not know, or cannot read, stops it, because nobody can say what depends on it.
 */
import { type ArchivedBackup, listBackups } from '../archive/backups.ts'
import { readClusterRecord } from '../archive/cluster-record.ts'
import type { ArchivedHistory } from '../archive/timelines.ts'
import { type ClusterLayout, clusterDirectory, isSystemIdentifier, startSegmentOf } from '../core/archive-layout.ts'
import { SeawallError } from '../core/errors.ts'
import { isPossibleSegment, segmentNumber, type WalFile } from '../core/wal-names.ts'
import type { CallOptions, ObjectInfo, ReadableStorage } from '../storage/storage.ts'
import { SegmentTable } from './segment-table.ts'

/** A `.partial` or `.backup` file. */
export interface SideFile extends ObjectInfo {
  readonly file: Exclude<WalFile, { kind: 'history' }>
  /** Number of its segment since the beginning of WAL. */
  readonly number: number
}

/** Every object below the prefix, classified, and none read. */
export interface Listing {
  readonly layout: ClusterLayout
  /** Bytes. */
  readonly segmentSize: number
  readonly clusterRecord: ObjectInfo | undefined
  readonly backups: readonly ArchivedBackup[]
  /** By timeline. */
  readonly segments: ReadonlyMap<number, SegmentTable>
  readonly sideFiles: readonly SideFile[]
  readonly histories: readonly ObjectInfo[]
}

export interface Inventory extends Listing {
  /** The histories, read. */
  readonly timelines: ReadonlyMap<number, ArchivedHistory>
}

/**
 * @param readHistories reads the timeline histories below the same layout; called once, after the WAL was listed.
 * @throws SeawallError `unknown-object` that names the object, `corrupt` or `newer-format` for one that cannot be read,
 * `archive-missing` without `cluster.json`.
 */
export async function readInventory(
  storage: ReadableStorage,
  layout: ClusterLayout,
  readHistories: () => Promise<ReadonlyMap<number, ArchivedHistory>>,
  options?: CallOptions,
): Promise<Inventory> {
  const record = await readClusterRecord(storage, layout, options)
  if (!record) throw noClusterRecord(storage, layout)
  const listing = await readListing(storage, layout, record.walSegmentSize, options)
  for (const { id, record: backup, error } of listing.backups) {
    if (error) throw error
    if (backup && backup.walSegmentSize !== listing.segmentSize) throw foreignBackup(layout, id)
  }
  return { ...listing, timelines: await readHistories() }
}

/**
 * Classifies every object below the prefix.
 * @throws SeawallError `unknown-object`
 */
export async function readListing(
  storage: ReadableStorage,
  layout: ClusterLayout,
  segmentSize: number,
  options?: CallOptions,
): Promise<Listing> {
  const backups = await listBackups(storage, layout, options)
  const segments = new Map<number, SegmentTable>()
  const sideFiles: SideFile[] = []
  const histories: ObjectInfo[] = []
  let clusterRecord: ObjectInfo | undefined
  for await (const info of storage.list(layout.prefix, options)) {
    options?.onProgress?.(0)
    const object = layout.parse(info.key)
    if (!object) throw unknownObject(info.key)
    if (object.kind === 'cluster') {
      clusterRecord = info
    } else if (object.kind === 'base') {
      if (!isPossibleSegment(startSegmentOf(object.id), segmentSize)) throw unknownObject(info.key)
    } else if (object.file.kind === 'history') {
      histories.push(info)
    } else {
      const { file } = object
      if (!isPossibleSegment(file.segment, segmentSize)) throw unknownObject(info.key)
      const number = Number(segmentNumber(file.segment, segmentSize))
      if (file.kind === 'segment') tableOf(segments, file.timeline).add(number, info.size, info.modified.getTime())
      else sideFiles.push({ ...info, file, number })
    }
  }
  return { layout, segmentSize, clusterRecord, backups, segments, sideFiles, histories }
}

/**
 * Checks that below a cluster's name there are only system identifiers.
 * @throws SeawallError `unknown-object`
 */
export async function checkNothingElse(
  storage: ReadableStorage,
  cluster: string,
  options?: CallOptions,
): Promise<void> {
  const directory = clusterDirectory(cluster)
  for (let after = ''; ; ) {
    const key = await firstKey(storage, directory, after, options)
    if (key === undefined) return
    const [name, ...rest] = key.slice(directory.length).split('/')
    if (rest.length === 0 || !isSystemIdentifier(name!)) throw unknownObject(key)
    // Keys are printable ASCII: DEL sorts after all that stand below this identifier.
    after = `${directory}${name}/\x7f`
  }
}

async function firstKey(
  storage: ReadableStorage,
  prefix: string,
  after: string,
  options?: CallOptions,
): Promise<string | undefined> {
  for await (const { key } of storage.list(prefix, { ...options, after })) return key
  return undefined
}

function tableOf(segments: Map<number, SegmentTable>, timeline: number): SegmentTable {
  const table = segments.get(timeline) ?? new SegmentTable(timeline)
  segments.set(timeline, table)
  return table
}

function unknownObject(key: string): SeawallError {
  return new SeawallError('unknown-object', {
    operation: 'decide what to remove, because of',
    object: key,
    reason: 'this version does not know what it is',
    hint: 'Nothing was removed here. Move the object away if it does not belong to the archive, or use the version that wrote it.',
  })
}

function foreignBackup(layout: ClusterLayout, id: string): SeawallError {
  return new SeawallError('corrupt', {
    operation: 'read',
    object: layout.backupRecord(id),
    reason: 'its WAL segment size is not that of cluster.json',
    hint: 'The archive was changed by hand. Restore the object from a copy of the archive.',
  })
}

function noClusterRecord(storage: ReadableStorage, layout: ClusterLayout): SeawallError {
  return new SeawallError('archive-missing', {
    operation: 'find the cluster in the archive',
    object: storage.url,
    reason: `there is no ${layout.record}`,
    hint: 'Check --archive and --cluster, and whether the archive is mounted. If a --forget-system-id was interrupted, run it again.',
  })
}
