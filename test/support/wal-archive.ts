/** WAL objects put into a storage without the executables: for tests of what reads an archive. */
import { createHash } from 'node:crypto'
import { formatClusterRecord } from '../../src/archive/cluster-record.ts'
import { encodeWalHeader } from '../../src/archive/wal-object.ts'
import { openCodec } from '../../src/codec/open.ts'
import type { ClusterLayout } from '../../src/core/archive-layout.ts'
import { historyName, parseWalFileName } from '../../src/core/wal-names.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { walSegment } from './wal-file.ts'

/** The smallest that PostgreSQL knows. */
export const testSegmentSize = 1 << 20

export async function putClusterRecord(storage: Storage, layout: ClusterLayout): Promise<void> {
  const { systemIdentifier } = layout
  const record = { systemIdentifier, postgresMajor: 18, walSegmentSize: testSegmentSize }
  await storage.putIfAbsent(layout.record, [Buffer.from(formatClusterRecord(record))])
}

/** The bytes of an object for a file of pg_wal. */
export async function walObject(layout: ClusterLayout, name: string, plain: Uint8Array): Promise<Buffer> {
  const frame = (await openCodec()).compress(plain, 1)
  const header = {
    name,
    size: plain.length,
    storedSize: frame.length,
    sha256: createHash('sha256').update(plain).digest('hex'),
    systemIdentifier: layout.systemIdentifier,
    postgresMajor: 18,
  }
  return Buffer.concat([encodeWalHeader(header), frame])
}

export async function putWal(storage: Storage, layout: ClusterLayout, name: string, plain: Uint8Array): Promise<void> {
  const sha256 = createHash('sha256').update(plain).digest('hex')
  await storage.putIfAbsent(layout.wal(parseWalFileName(name)!, sha256), [await walObject(layout, name, plain)])
}

/** Puts a segment of `testSegmentSize`, by its name. */
export async function putSegment(storage: Storage, layout: ClusterLayout, name: string): Promise<void> {
  const number = BigInt(`0x${name.slice(8, 16)}`) * 4096n + BigInt(`0x${name.slice(16)}`)
  const page = {
    systemIdentifier: BigInt(layout.systemIdentifier),
    timeline: Number.parseInt(name.slice(0, 8), 16),
    address: number * BigInt(testSegmentSize),
    segmentSize: testSegmentSize,
  }
  await putWal(storage, layout, name, walSegment(page))
}

/** Puts a history file; `text` as PostgreSQL writes it. */
export async function putHistory(
  storage: Storage,
  layout: ClusterLayout,
  timeline: number,
  text: string,
): Promise<void> {
  await putWal(storage, layout, historyName(timeline), Buffer.from(text))
}

export const quietLog = { debug() {}, info() {}, warn() {}, error() {}, failure() {} }
