/** An archive in memory whose objects have whatever times and sizes a test wants, and which notes what is removed. */

import { createHash } from 'node:crypto'
import { closeSync, ftruncateSync, mkdirSync, openSync, utimesSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { formatClusterRecord } from '../../src/archive/cluster-record.ts'
import type { ArchivedHistory } from '../../src/archive/timelines.ts'
import { encodeWalHeader } from '../../src/archive/wal-object.ts'
import { backupId, ClusterLayout } from '../../src/core/archive-layout.ts'
import { type BackupRecord, formatBackupRecord } from '../../src/core/backup-record.ts'
import type { Lsn } from '../../src/core/lsn.ts'
import { formatLsn } from '../../src/core/lsn.ts'
import type { Ancestor } from '../../src/core/timelines.ts'
import { historyName, parseWalFileName, segmentName } from '../../src/core/wal-names.ts'
import { type Inventory, readInventory } from '../../src/retention/inventory.ts'
import type { ListOptions, ObjectInfo, Storage, StoredObject } from '../../src/storage/storage.ts'

export const MiB = 1024 * 1024
export const DAY = 86_400_000
const sha256 = '0'.repeat(64)

interface FakeObject {
  readonly size: number
  readonly modified: Date
  /** What it begins with; the rest are zeroes. */
  readonly content: Uint8Array
}

export interface FakeBackup {
  readonly timeline: number
  readonly start: Lsn
  readonly stop: Lsn
  readonly startedAt?: Date
  readonly stoppedAt: Date
  /** Default: when it stopped. */
  readonly recordedAt?: Date
  /** Bytes of its one part. */
  readonly partSize?: number
}

export class FakeArchive {
  readonly layout: ClusterLayout
  readonly segmentSize: number
  readonly objects = new Map<string, FakeObject>()
  readonly histories = new Map<number, ArchivedHistory>()
  /** Keys, in the order in which they were removed. */
  readonly removed: string[] = []

  constructor(
    segmentSize = 16 * MiB,
    layout = new ClusterLayout('main', '7312345678901234567'),
    created = new Date(0),
  ) {
    this.segmentSize = segmentSize
    this.layout = layout
    const record = { systemIdentifier: layout.systemIdentifier, postgresMajor: 18, walSegmentSize: segmentSize }
    this.add(layout.record, created, { content: formatClusterRecord(record) })
  }

  add(
    key: string,
    modified: Date,
    { size, content = '' }: { size?: number; content?: string | Uint8Array } = {},
  ): void {
    const bytes = Buffer.from(content)
    this.objects.set(key, { size: size ?? bytes.length, modified, content: bytes })
  }

  delete(key: string): void {
    if (!this.objects.delete(key)) throw new Error(`there is no ${key}`)
  }

  /** Position of the beginning of a segment, or of a byte in it. */
  lsn(segment: number, offset = 0): Lsn {
    return BigInt(segment) * BigInt(this.segmentSize) + BigInt(offset)
  }

  segmentKey(timeline: number, segment: number): string {
    return this.layout.segment(segmentName(timeline, BigInt(segment), this.segmentSize))
  }

  segment(timeline: number, number: number, archivedAt: Date, size = 4 * MiB): void {
    this.add(this.segmentKey(timeline, number), archivedAt, { size })
  }

  /** A `.partial` or, with `backup`, a backup history file. */
  sideFile(timeline: number, number: number, kind: 'partial' | 'backup', archivedAt: Date): string {
    const segment = segmentName(timeline, BigInt(number), this.segmentSize)
    const file = parseWalFileName(kind === 'partial' ? `${segment}.partial` : `${segment}.00000028.backup`)!
    const key = this.layout.wal(file, sha256)
    this.add(key, archivedAt, { size: kind === 'partial' ? 2 * MiB : 400 })
    return key
  }

  /** A timeline's history file, a real WAL object. */
  history(timeline: number, ancestors: readonly Ancestor[], archivedAt: Date): void {
    const lines = ancestors.map(({ timeline: parent, forkedAt }) => `${parent}\t${formatLsn(forkedAt)}\tno reason\n`)
    this.histories.set(timeline, { timeline, ancestors, archivedAt })
    const content = this.#walObject(historyName(timeline), Buffer.from(lines.join('\n')))
    this.add(this.layout.history(timeline), archivedAt, { content })
  }

  /** A complete backup. Its WAL must be there for it to count. @returns its id */
  backup({ timeline, start, stop, stoppedAt, partSize = 900 * MiB, ...rest }: FakeBackup): string {
    const { startedAt = new Date(stoppedAt.getTime() - 600_000), recordedAt = stoppedAt } = rest
    const id = backupId(startedAt, segmentName(timeline, start / BigInt(this.segmentSize), this.segmentSize))
    const record: BackupRecord = {
      id,
      systemIdentifier: this.layout.systemIdentifier,
      postgresVersion: '18.4',
      postgresVersionNumber: 180004,
      timeline,
      startLsn: start,
      stopLsn: stop,
      startedAt,
      stoppedAt,
      walSegmentSize: this.segmentSize,
      dataChecksums: true,
      tablespaces: [],
      dataDirectory: '/var/lib/postgresql/18/main',
      outsideFiles: [],
      parts: [{ name: 'part-00001.tar.zst', size: partSize, sha256, number: 1, tablespace: null, tarSize: partSize }],
      files: { name: 'files.jsonl.zst', size: 60_000, sha256 },
      manifest: { name: 'backup_manifest.zst', size: 50_000, sha256 },
      fileCount: 1000,
      totalSize: partSize,
    }
    this.add(this.layout.part(id, 1), stoppedAt, { size: partSize })
    this.add(this.layout.files(id), stoppedAt, { size: 60_000 })
    this.add(this.layout.manifest(id), stoppedAt, { size: 50_000 })
    this.add(this.layout.backupRecord(id), recordedAt, { content: formatBackupRecord(record) })
    return id
  }

  /** What base-push has written before it is finished. @returns its id */
  unfinishedBackup(timeline: number, segment: number, startedAt: Date, newestAt = startedAt): string {
    const id = backupId(startedAt, segmentName(timeline, BigInt(segment), this.segmentSize))
    this.add(this.layout.part(id, 1), startedAt, { size: MiB })
    this.add(this.layout.part(id, 2), newestAt, { size: MiB })
    return id
  }

  inventory(): Promise<Inventory> {
    return readInventory(this.storage(), this.layout, async () => this.histories)
  }

  /** Keeps the contract as far as retention uses it: list in byte order, whole objects, removal. */
  storage(): Storage {
    const { objects, removed } = this
    const info = (key: string): ObjectInfo => ({ key, ...objects.get(key)! })
    const keysBelow = (prefix: string) =>
      [...objects.keys()].filter((key) => key.startsWith(prefix)).sort((a, b) => (a < b ? -1 : 1))
    return {
      url: 'memory:',
      head: async (key) => (objects.has(key) ? info(key) : undefined),
      get: async (key): Promise<StoredObject | undefined> => {
        const content = objects.get(key)?.content
        return (
          content && {
            ...info(key),
            body: (async function* () {
              yield content
            })(),
          }
        )
      },
      list: async function* (prefix, { after = '' }: ListOptions = {}) {
        for (const key of keysBelow(prefix)) if (key > after && objects.has(key)) yield info(key)
      },
      listDirectories: async (prefix) => [
        ...new Set(keysBelow(prefix).map((key) => key.slice(prefix.length).split('/')[0]!)),
      ],
      putIfAbsent: async () => {
        throw new Error('retention writes nothing')
      },
      remove: async (keys) => {
        for (const key of keys) {
          objects.delete(key)
          removed.push(key)
        }
      },
      removeAbandoned: async () => 0,
    }
  }

  /** Writes a local archive: sparse files of the right sizes and times, readable where retention reads. */
  writeTo(root: string): void {
    for (const [key, { content, size, modified }] of this.objects) {
      const path = join(root, key)
      mkdirSync(dirname(path), { recursive: true })
      const descriptor = openSync(path, 'wx')
      writeSync(descriptor, content)
      ftruncateSync(descriptor, size)
      closeSync(descriptor)
      utimesSync(path, modified, modified)
    }
  }

  #walObject(name: string, plain: Uint8Array): Uint8Array {
    const stored = uncompressedFrame(plain)
    const header = encodeWalHeader({
      name,
      size: plain.length,
      storedSize: stored.length,
      sha256: createHash('sha256').update(plain).digest('hex'),
      systemIdentifier: this.layout.systemIdentifier,
      postgresMajor: 18,
    })
    return Buffer.concat([header, stored])
  }
}

/** A zstd frame of one raw block (RFC 8878, 3.1.1), whose length does not depend on a zstd library's version. */
function uncompressedFrame(plain: Uint8Array): Uint8Array {
  const head = Buffer.alloc(12)
  head.writeUInt32LE(0xfd2fb528, 0)
  head.writeUInt8(0xa0, 4)
  head.writeUInt32LE(plain.length, 5)
  head.writeUIntLE(plain.length * 8 + 1, 9, 3)
  return Buffer.concat([head, plain])
}
