/** Takes a full base backup of a running server, and publishes it only when everything that it needs is archived. */
import { realpath } from 'node:fs/promises'
import path from 'node:path'
import type { Codec, Level } from '../codec/codec.ts'
import { backupId, type ClusterLayout } from '../core/archive-layout.ts'
import type { BackupPart, BackupRecord, StoredFile, Tablespace } from '../core/backup-record.ts'
import type { Log } from '../core/log.ts'
import { segmentName, segmentNumberAt } from '../core/wal-names.ts'
import { type BackupSession, type BackupStop, startBackup } from '../postgres/backup-session.ts'
import type { Connection } from '../postgres/connection.ts'
import { waitingWalFiles } from '../postgres/data-directory.ts'
import { readDatabases } from '../postgres/databases.ts'
import { proveOwnership } from '../postgres/identity.ts'
import type { ServerSettings } from '../postgres/settings.ts'
import type { CallOptions, Storage } from '../storage/storage.ts'
import { archiverState, describeArchiver } from './archiver.ts'
import { type BytePath, bytePathOf, toText } from './byte-path.ts'
import { isEvidence, requireComplete } from './completeness.ts'
import { catalogVersionOf, readControlBytes } from './control.ts'
import { type FilesEntry, formatFilesLine } from './files-list.ts'
import { type ManifestText, manifestText } from './manifest.ts'
import { type ObjectWriter, openObjectWriter } from './object-writer.ts'
import { type MemoryFile, PartMaker } from './part.ts'
import { SYNC_PATIENCE, withPatience } from './patience.ts'
import { planParts } from './plan.ts'
import { type Progress, type ProgressOutput, reportProgress } from './progress.ts'
import { publishRecord } from './publish.ts'
import { listTablespaces, type ScanEntry, type ScannedTablespace, scanDataDirectory, scanTablespace } from './scan.ts'
import { absoluteTablespaceMap, parseTablespaceMap } from './tablespace-map.ts'
import { openTextObject, type TextObject } from './text-object.ts'
import { waitForWal } from './wait-for-wal.ts'

export interface PushOptions extends ProgressOutput {
  readonly connection: Connection
  readonly settings: ServerSettings
  /** Of the server behind the connection, which has been proven. */
  readonly dataDirectory: string
  readonly storage: Storage
  /** The cluster's place, which has been claimed. */
  readonly layout: ClusterLayout
  readonly codec: Codec
  readonly level: Level
  readonly fastCheckpoint: boolean
  /** Milliseconds without a new segment. */
  readonly walTimeout: number
  readonly signal: AbortSignal
  readonly progressed: () => void
}

/** @returns what was written as `backup.json`. @throws SeawallError; then nothing is left that looks like a backup. */
export async function pushBackup(options: PushOptions): Promise<BackupRecord> {
  const { dataDirectory, log } = options
  log.info(`beginning a base backup of ${dataDirectory}; the server makes a checkpoint first`)
  const session = await begin(options)
  const attempt = new Attempt(options, session)
  try {
    return await attempt.run()
  } catch (error) {
    await session.abandon()
    await attempt.discard(error)
    throw error
  }
}

/** Waits for the server's checkpoint, which may take minutes; an interruption does not wait for it. */
async function begin(options: PushOptions): Promise<BackupSession> {
  const { connection, settings, fastCheckpoint, signal, progressed } = options
  const close = () => connection.close()
  signal.addEventListener('abort', close, { once: true })
  try {
    const start = { label: 'seawall', fast: fastCheckpoint, versionNumber: settings.versionNumber }
    return await withPatience(progressed, startBackup(connection, start))
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', close)
  }
}

/** Of the data directory (null) or of one tablespace; can be made again. */
interface Scan {
  readonly tablespace: number | null
  readonly scan: (warn: Log['warn']) => AsyncGenerator<ScanEntry>
}

class Attempt {
  readonly #options: PushOptions
  readonly #session: BackupSession
  readonly #id: string
  readonly #calls: CallOptions & { readonly signal: AbortSignal }
  /** Keys that hold something of ours, and writers whose object is not complete. */
  readonly #created: string[] = []
  readonly #open = new Set<ObjectWriter>()
  readonly #parts: BackupPart[] = []
  readonly #manifest: ManifestText
  readonly #manifestObject: TextObject
  readonly #filesObject: TextObject
  readonly #progress: Progress
  readonly #evidence = new Set<BytePath>()
  /** Whether there may be a backup.json of this attempt. */
  #isPublished = false
  #fileCount = 0
  #totalSize = 0

  constructor(options: PushOptions, session: BackupSession) {
    const { layout, settings, codec, level } = options
    this.#options = options
    this.#session = session
    const { lsn, timeline, startedAt } = session.start
    const segmentSize = settings.walSegmentSize
    this.#id = backupId(startedAt, segmentName(timeline, segmentNumberAt(lsn, segmentSize), segmentSize))
    this.#calls = {
      // A server that went away has forgotten the backup.
      signal: AbortSignal.any([options.signal, options.connection.lost]),
      onProgress: options.progressed,
    }
    this.#manifest = manifestText(Math.floor(settings.versionNumber / 10_000), layout.systemIdentifier)
    this.#manifestObject = openTextObject(this.#openWriter(layout.manifest(this.#id)), codec, level)
    this.#filesObject = openTextObject(this.#openWriter(layout.files(this.#id)), codec, level)
    this.#progress = reportProgress('backed up', options)
  }

  async run(): Promise<BackupRecord> {
    const { connection, settings, storage, layout, clock, log, walTimeout, signal, progressed } = this.#options
    const { start } = this.#session
    const dataDirectory = bytePathOf(this.#options.dataDirectory)
    await proveOwnership(connection, this.#options.dataDirectory, start.lsn)

    const tablespaces = await listTablespaces(dataDirectory)
    const catalogVersion = catalogVersionOf(await readControlBytes(dataDirectory, clock))
    const versionDirectory = `PG_${Math.floor(settings.versionNumber / 10_000)}_${catalogVersion}`
    const scans = this.#scansOf(tablespaces, versionDirectory)
    this.#progress.expect(await this.#estimate(scans))
    for (const { tablespace, scan } of scans) {
      for await (const entries of planParts(scan(log.warn.bind(log)))) await this.#makePart(tablespace, entries)
    }
    await requireComplete({
      dataDirectory,
      tablespaces,
      versionDirectory,
      databases: () => readDatabases(connection),
      recorded: this.#evidence,
      clock,
      signal: this.#calls.signal,
      progressed,
    })
    const control = await readControlBytes(dataDirectory, clock)
    const stop = await this.#stop()
    await proveOwnership(connection, this.#options.dataDirectory)
    await this.#makeLastPart(stop, control)
    this.#progress.end()

    const { lsn: startLsn, timeline } = start
    await this.#manifestObject.write(this.#manifest.end({ timeline, startLsn, stopLsn: stop.lsn }))
    const manifest = await this.#manifestObject.finish()
    const files = await this.#filesObject.finish()
    const wait = {
      storage,
      layout,
      timeline,
      startLsn,
      stopLsn: stop.lsn,
      segmentSize: settings.walSegmentSize,
      timeout: walTimeout,
      clock,
      log,
      waitingFiles: () => waitingWalFiles(this.#options.dataDirectory),
      archiver: () => archiverState(connection),
      askArchiver: () => describeArchiver(connection, settings),
    }
    await waitForWal(wait, { signal, onProgress: progressed })
    const record = this.#recordOf(stop, tablespaces, files, manifest)
    await publishRecord(storage, layout, record, {
      signal,
      onProgress: progressed,
      onPublishing: () => {
        this.#isPublished = true
      },
    })
    return record
  }

  /** Leaves nothing of the attempt in the archive, as far as that can be done, and says what it could not remove. */
  async discard(reason: unknown): Promise<void> {
    const { layout, storage, log } = this.#options
    this.#progress.end()
    await this.#manifestObject.abandon(reason)
    await this.#filesObject.abandon(reason)
    for (const writer of this.#open) await writer.abandon(reason)
    if (this.#created.length === 0) return
    try {
      // First, so that what is half removed is no backup. Not with the signal of the attempt, which may be what ended it.
      await storage.remove([layout.backupRecord(this.#id)])
      this.#isPublished = false
      await storage.remove(this.#created)
      log.info(`the backup failed; what it had written to ${layout.base(this.#id)} was removed`)
    } catch (error) {
      const failure = error instanceof Error ? error.message : String(error)
      log.warn(
        `the backup failed, and what it had written to ${layout.base(this.#id)} could not be removed: ${failure}. ` +
          (this.#isPublished
            ? 'Remove its backup.json by hand: the backup is not whole'
            : 'It is no backup, because it has no backup.json, and wal-prune removes it when it is older than a day'),
      )
    }
  }

  async #stop(): Promise<BackupStop> {
    const stop = await this.#session.stop()
    if (stop.tablespaceMap === '') return stop
    const directory = await realpath(path.join(this.#options.dataDirectory, 'pg_tblspc'))
    return { ...stop, tablespaceMap: absoluteTablespaceMap(stop.tablespaceMap, directory) }
  }

  #scansOf(tablespaces: readonly ScannedTablespace[], versionDirectory: string): Scan[] {
    const dataDirectory = bytePathOf(this.#options.dataDirectory)
    return [
      { tablespace: null, scan: (warn: Log['warn']) => scanDataDirectory(dataDirectory, tablespaces, warn) },
      ...tablespaces.map((tablespace) => ({
        tablespace: tablespace.oid,
        scan: (warn: Log['warn']) => scanTablespace(tablespace, versionDirectory, warn),
      })),
    ]
  }

  async #estimate(scans: readonly Scan[]): Promise<number> {
    let size = 0
    for (const { scan } of scans) {
      for await (const entry of scan(() => {})) {
        this.#calls.signal.throwIfAborted()
        this.#options.progressed()
        size += entry.size
      }
    }
    return size
  }

  async #makePart(tablespace: number | null, entries: readonly ScanEntry[]): Promise<void> {
    const maker = this.#partMaker(tablespace)
    for (const entry of entries) await maker.add(entry)
    await this.#finishPart(maker)
  }

  async #makeLastPart(stop: BackupStop, control: MemoryFile): Promise<void> {
    const maker = this.#partMaker(null)
    const { mode, uid, gid } = control
    const mtime = Math.floor(stop.stoppedAt.getTime() / 1000)
    const memoryFile = (name: string, text: string): MemoryFile => ({
      path: name,
      content: Buffer.from(text, 'utf8'),
      mode,
      mtime,
      uid,
      gid,
    })
    await maker.addMemory(memoryFile('backup_label', stop.label))
    if (stop.tablespaceMap !== '') await maker.addMemory(memoryFile('tablespace_map', stop.tablespaceMap))
    await maker.addMemory(control)
    await this.#finishPart(maker)
  }

  #partMaker(tablespace: number | null): PartMaker {
    const { layout, codec, level, progressed } = this.#options
    const number = this.#parts.length + 1
    return new PartMaker({
      number,
      tablespace,
      codec,
      level,
      writer: this.#openWriter(layout.part(this.#id, number)),
      record: (entry) => this.#recordEntry(entry),
      signal: this.#calls.signal,
      onRead: (bytes) => {
        progressed()
        this.#progress.add(bytes)
      },
    })
  }

  async #finishPart(maker: PartMaker): Promise<void> {
    this.#parts.push(await withPatience(this.#options.progressed, maker.finish(), SYNC_PATIENCE))
  }

  async #recordEntry(entry: FilesEntry): Promise<void> {
    await this.#filesObject.write(formatFilesLine(entry))
    if (isEvidence(entry.path)) this.#evidence.add(entry.path)
    if (entry.kind === 'directory') return
    this.#fileCount += 1
    this.#totalSize += entry.size
    await this.#manifestObject.write(this.#manifest.file(entry))
  }

  #openWriter(key: string): ObjectWriter {
    const { storage } = this.#options
    const created = () => {
      this.#created.push(key)
      this.#open.delete(writer)
    }
    const writer: ObjectWriter = openObjectWriter(storage, key, created, this.#calls)
    this.#open.add(writer)
    return writer
  }

  #recordOf(
    stop: BackupStop,
    scanned: readonly ScannedTablespace[],
    files: StoredFile,
    manifest: StoredFile,
  ): BackupRecord {
    const { settings, layout } = this.#options
    const { start } = this.#session
    const inside = (file: string) => file.startsWith(`${settings.dataDirectory}/`)
    return {
      id: this.#id,
      systemIdentifier: layout.systemIdentifier,
      postgresVersion: settings.version,
      postgresVersionNumber: settings.versionNumber,
      timeline: start.timeline,
      startLsn: start.lsn,
      stopLsn: stop.lsn,
      startedAt: start.startedAt,
      stoppedAt: stop.stoppedAt,
      walSegmentSize: settings.walSegmentSize,
      dataChecksums: settings.dataChecksums,
      tablespaces: tablespacesOf(scanned, stop.tablespaceMap),
      dataDirectory: settings.dataDirectory,
      outsideFiles: [settings.configFile, settings.hbaFile, settings.identFile].filter((file) => !inside(file)),
      parts: this.#parts,
      files,
      manifest,
      fileCount: this.#fileCount,
      totalSize: this.#totalSize,
    }
  }
}

/** Those that were scanned, and those that the server knew when the backup began but that are gone. */
function tablespacesOf(scanned: readonly ScannedTablespace[], map: string): Tablespace[] {
  const locations = new Map(parseTablespaceMap(map).map(({ oid, location }) => [oid, location]))
  for (const { oid, location } of scanned) locations.set(oid, toText(location)!)
  return [...locations].map(([oid, location]) => ({ oid, location })).sort((left, right) => left.oid - right.oid)
}
