/** Archives one WAL file: checked, durable, create-only. */
import { type FileHandle, open, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Claim, claimCluster } from '../archive/claim-cluster.ts'
import { listPartials } from '../archive/wal-inventory.ts'
import { openWal, type WalObjectHeader } from '../archive/wal-object.ts'
import type { Codec, Level } from '../codec/codec.ts'
import { formatBytes } from '../core/bytes.ts'
import { errno, localIoError, SeawallError } from '../core/errors.ts'
import { historyName, type WalFile } from '../core/wal-names.ts'
import type { CallOptions } from '../storage/storage.ts'
import { inspectWalFile } from './inspect.ts'
import { packWalFile } from './pack.ts'

export interface PushRequest {
  /** Absolute. */
  readonly path: string
  readonly file: WalFile
  /** Bytes, by pg_control; undefined where it does not tell. */
  readonly segmentSize: number | undefined
  readonly codec: Codec
  readonly level: Level
  readonly claim: Omit<Claim, 'postgresMajor' | 'walSegmentSize'>
}

/**
 * Resolves when the file is durable in the archive, by this call or an earlier one.
 * @throws SeawallError: it is important that PostgreSQL sees an error then, so that it keeps the file. `conflict` if the
 * archive holds other content under the same name.
 */
export async function pushWalFile(request: PushRequest, options: CallOptions): Promise<void> {
  await pushOne(request, options)
  if (request.file.kind === 'segment') await pushMissingHistory(request, request.file.timeline, options)
}

async function pushOne(request: PushRequest, options: CallOptions): Promise<void> {
  const handle = await openFile(request.path)
  try {
    await pushOpenFile(handle, request, options)
  } finally {
    await handle.close()
  }
}

/**
 * PostgreSQL does not offer the history of a timeline that began while archiving was off, as on a restored copy that later
 * takes over. Without it nobody can recover along that timeline, so it goes with the first segment.
 */
async function pushMissingHistory(request: PushRequest, timeline: number, options: CallOptions): Promise<void> {
  const { storage, layout, log } = request.claim
  if (timeline === 1 || (await storage.head(layout.history(timeline), options))) return
  const name = historyName(timeline)
  const path = join(dirname(request.path), name)
  if (!(await isThere(path))) {
    log.debug(`${name} is neither in the archive nor beside ${request.file.name}`)
    return
  }
  try {
    await pushOne({ ...request, path, file: { kind: 'history', name, timeline } }, options)
    log.info(`archived ${name} too, which PostgreSQL had not offered`)
  } catch (error) {
    // A damaged history cannot get better by keeping the segments back, which are whole.
    if (!(error instanceof SeawallError) || error.code !== 'refused') throw error
    log.failure(error)
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (cause) {
    if (errno(cause) === 'ENOENT') return false
    throw localIoError('look for', path, cause, 'Check whether this user may read the data directory.')
  }
}

async function pushOpenFile(handle: FileHandle, request: PushRequest, options: CallOptions): Promise<void> {
  const { path, file, codec, level, claim } = request
  const { storage, layout, log } = claim
  const inspected = await inspectWalFile(handle, path, file, layout.systemIdentifier, log)
  const { postgresMajor, size } = inspected
  const walSegmentSize = inspected.segmentSize ?? request.segmentSize
  await claimCluster({ ...claim, postgresMajor, walSegmentSize }, options)

  const facts = { name: file.name, size, systemIdentifier: layout.systemIdentifier, postgresMajor }
  const packed = await packWalFile(handle, path, facts, codec, level, options)
  const key = layout.wal(file, packed.header.sha256)
  const result = await storage.putIfAbsent(key, packed.content, options)
  if (result === 'exists') {
    await compareWithArchived(request, key, packed.header, options)
    log.info(`${file.name} is in the archive already, with the same content`)
  } else {
    log.debug(`archived ${file.name}`, { size: formatBytes(size), stored: formatBytes(packed.header.storedSize) })
  }
  await warnOfOtherPartials(request, key, options)
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (cause) {
    throw localIoError('archive', path, cause, 'Check the path, and whether this user may read the data directory.')
  }
}

/**
 * Reads the archived object to its end: PostgreSQL offers a file again after a crash, and by the answer it lets go of what
 * may be the only good copy.
 */
async function compareWithArchived(
  { path, codec, claim }: PushRequest,
  key: string,
  ours: WalObjectHeader,
  options: CallOptions,
): Promise<void> {
  const archived = await openWal(claim.storage, codec, key, ours, options)
  const theirs = archived?.header
  if (archived && theirs?.sha256 === ours.sha256 && theirs.size === ours.size) {
    for await (const _ of archived.content) options.signal?.throwIfAborted()
    return
  }
  throw new SeawallError('conflict', {
    operation: 'archive',
    object: path,
    reason: theirs
      ? `the archive holds different content under the name ${key}`
      : `${key} was in the archive a moment ago and is gone`,
    ...(theirs ? { detail: `this file: ${describe(ours)}; in the archive: ${describe(theirs)}` } : {}),
    hint: 'Usually two servers archive to one place: a second primary, or a restored copy. Give each its own --cluster. Nothing was overwritten.',
  })
}

function describe({ size, sha256, systemIdentifier }: WalObjectHeader): string {
  return `${size} bytes, SHA-256 ${sha256}, system identifier ${systemIdentifier}`
}

/** Two standbys promoted from one primary leave different partial segments: both are kept. */
async function warnOfOtherPartials({ file, claim }: PushRequest, key: string, options: CallOptions): Promise<void> {
  if (file.kind !== 'partial') return
  for (const other of await listPartials(claim.storage, claim.layout, file.segment, options)) {
    if (other === key) continue
    claim.log.warn(`the archive holds another ${file.name} with different content: two servers were promoted`, {
      other,
    })
  }
}
