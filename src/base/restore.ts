/** Brings the files of a backup back, each one checked against the list of files. */
import { createHash, type Hash } from 'node:crypto'
import { symlink } from 'node:fs/promises'
import type { BackupPart, BackupRecord } from '../core/backup-record.ts'
import { localIoError, SeawallError } from '../core/errors.ts'
import { type BytePath, bytePathOf, display, join, toBytes } from './byte-path.ts'
import { CONTROL_FILE, MAX_CONTROL_SIZE } from './control.ts'
import { type FileEntry, type FilesEntry, parseFilesLine } from './files-list.ts'
import type { Progress } from './progress.ts'
import { type RestoredFile, RestoredTree } from './restored-tree.ts'
import { readStored, type StoredObjectSource } from './stored-object.ts'
import { sync, syncTree } from './sync.ts'
import { formatTablespaceMap, parseTablespaceMap } from './tablespace-map.ts'
import type { RestoredTablespace } from './tablespaces.ts'
import type { TarMember } from './tar.ts'
import { TarReader } from './tar-reader.ts'

export interface RestoreOptions {
  readonly source: StoredObjectSource
  readonly record: BackupRecord
  /** Empty directories, by their real paths. */
  readonly directory: string
  readonly tablespaces: readonly RestoredTablespace[]
  /** Makes the new postgresql.auto.conf of the old one (empty if there is none); each character is one byte. */
  readonly rewriteAutoConf: (text: string) => string
  /** Name of the empty file that makes the server recover. */
  readonly signalFile: string
  readonly signal: AbortSignal
  readonly progressed: () => void
  readonly progress: Progress
}

/** Files that are small, and are held back to be written after all others, or changed. */
const heldBack: ReadonlySet<BytePath> = new Set([CONTROL_FILE, 'postgresql.auto.conf', 'tablespace_map'])
const maxHeldBack = 16 * 1024 * 1024
/** Longest line of the list: a path of PATH_MAX, escaped, and the rest. */
const maxLine = 64 * 1024

interface HeldBack {
  readonly entry: FileEntry
  readonly content: Buffer
}

/**
 * Restores everything, and `global/pg_control` last of all, when everything else is on disk: without it no server
 * starts on the directory.
 * @throws SeawallError `corrupt`, `local-io` or what the storage throws; the directory then has no pg_control.
 */
export async function restoreBackup(options: RestoreOptions): Promise<void> {
  const { record, source, directory, tablespaces } = options
  const data = new RestoredTree(bytePathOf(directory))
  const trees = new Map<number | null, RestoredTree>([[null, data]])
  for (const { oid, directory: root } of tablespaces) trees.set(oid, new RestoredTree(bytePathOf(root)))
  const restore = new Restore(options, trees)
  await restore.readFiles()
  const control = restore.take(CONTROL_FILE)
  if (!control) throw corrupt(source.prefix, `it holds no ${CONTROL_FILE}`)
  await restoreManifest(source, record, data)
  await linkTablespaces(data, tablespaces)
  const map = restore.take('tablespace_map')
  if (map) await restoreHeldBack(data, map, tablespaceMapOf(map, tablespaces))
  const auto = restore.take('postgresql.auto.conf')
  const settings = Buffer.from(options.rewriteAutoConf(auto?.content.toString('latin1') ?? ''), 'latin1')
  await writeFile(data, 'postgresql.auto.conf', auto?.entry.mode ?? 0o600, settings)
  await writeFile(data, options.signalFile, 0o600, Buffer.alloc(0))

  const rootMode = rootModeOf(data)
  for (const tree of trees.values()) {
    await tree.finishDirectories(rootMode)
    await syncTree(tree.root, options)
  }
  options.signal.throwIfAborted()
  await restoreHeldBack(data, control, control.content)
  await syncTree(join(data.root, 'global'), options)
  await sync(data.root, options)
}

/** PostgreSQL wants 0700 or 0750, and makes all of its directories as the data directory is (initdb --allow-group-access). */
function rootModeOf(data: RestoredTree): number {
  return ((data.modeOf('global') ?? 0) & 0o050) === 0o050 ? 0o750 : 0o700
}

class Restore {
  readonly #options: RestoreOptions
  readonly #trees: ReadonlyMap<number | null, RestoredTree>
  readonly #heldBack = new Map<BytePath, HeldBack>()
  /** By oid of the tablespace. */
  readonly #versionDirectories = new Map<number, BytePath>()
  #files = 0
  #size = 0

  constructor(options: RestoreOptions, trees: ReadonlyMap<number | null, RestoredTree>) {
    this.#options = options
    this.#trees = trees
  }

  /** The members of all parts, which must be those of the list, in its order, no more and no fewer. */
  async readFiles(): Promise<void> {
    const { record, source } = this.#options
    const list = readFilesList(source, record)
    try {
      for (const part of record.parts) await this.#readPart(part, list)
      const { value } = await list.next()
      if (value) throw corrupt(source.prefix, `${display(value.path)} is in the list of files, and in no part`)
    } finally {
      await list.return(undefined)
    }
    if (this.#files !== record.fileCount || this.#size !== record.totalSize) {
      throw corrupt(
        source.prefix,
        `it holds ${this.#files} files of ${this.#size} bytes, and backup.json says ${record.fileCount} of ${record.totalSize}`,
      )
    }
  }

  take(path: BytePath): HeldBack | undefined {
    return this.#heldBack.get(path)
  }

  async #readPart(part: BackupPart, list: AsyncGenerator<FilesEntry, void>): Promise<void> {
    const { source, signal } = this.#options
    const tree = this.#trees.get(part.tablespace)
    const key = source.prefix + part.name
    if (!tree) throw corrupt(key, `it is of tablespace ${part.tablespace}, which backup.json does not name`)
    const reader = new TarReader(key)
    let current: MemberWriter | undefined
    let tarSize = 0
    try {
      for await (const bytes of readStored(source, part, part.tarSize)) {
        signal.throwIfAborted()
        tarSize += bytes.length
        for (const event of reader.push(bytes)) {
          if (event.kind === 'member') {
            const { value } = await list.next()
            if (part.tablespace !== null) this.#requireVersionDirectory(part, event.member.name, key)
            const entry = requireSame(event.member, value ?? undefined, part, key)
            current = await this.#begin(entry, event.member, tree)
          } else if (event.kind === 'content') {
            await current!.write(event.bytes)
          } else {
            await this.#end(current!, key)
            current = undefined
          }
        }
        this.#options.progressed()
      }
      reader.finish()
      if (tarSize !== part.tarSize) {
        throw corrupt(key, `its tar has ${tarSize} bytes, and backup.json says ${part.tarSize}`)
      }
    } finally {
      await current?.abandon()
    }
  }

  /** Everything in a tablespace lies in one directory, that of the server's version. */
  #requireVersionDirectory(part: BackupPart, name: BytePath, key: string): void {
    const { record } = this.#options
    const first = name.split('/', 1)[0]!
    const major = Math.floor(record.postgresVersionNumber / 10_000)
    const known = this.#versionDirectories.get(part.tablespace!) ?? first
    this.#versionDirectories.set(part.tablespace!, known)
    if (first === known && first.startsWith(`PG_${major}_`) && /^PG_\d+_\d+$/.test(first)) return
    throw corrupt(key, `it holds ${display(name)}, which no tablespace of PostgreSQL ${major} does`)
  }

  async #begin(entry: FilesEntry, member: TarMember, tree: RestoredTree): Promise<MemberWriter> {
    if (entry.kind === 'directory') {
      await tree.makeDirectory(member.name, entry.mode)
      return new MemberWriter(entry, undefined)
    }
    const isHeldBack = tree === this.#trees.get(null) && heldBack.has(entry.path)
    if (!isHeldBack) return new MemberWriter(entry, await tree.createFile(member.name, entry.mode))
    const limit = entry.path === CONTROL_FILE ? MAX_CONTROL_SIZE : maxHeldBack
    if (entry.size > limit) throw corrupt(display(entry.path), `it has ${entry.size} bytes, which it never has`)
    return new MemberWriter(entry, undefined)
  }

  async #end(member: MemberWriter, key: string): Promise<void> {
    const { entry } = member
    const content = await member.finish(key)
    if (entry.kind === 'directory') return
    if (content) this.#heldBack.set(entry.path, { entry, content })
    this.#files += 1
    this.#size += entry.size
    this.#options.progress.add(entry.size)
  }
}

/** Writes a member's content to its file, or keeps it if there is none, and hashes it. */
class MemberWriter {
  readonly entry: FilesEntry
  readonly #file: RestoredFile | undefined
  readonly #hash: Hash = createHash('sha256')
  readonly #kept: Buffer[] = []
  #finished = false

  constructor(entry: FilesEntry, file: RestoredFile | undefined) {
    this.entry = entry
    this.#file = file
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes)
    if (this.#file) await this.#file.write(bytes)
    else this.#kept.push(Buffer.from(bytes))
  }

  /** @returns the content of a file that was held back. */
  async finish(key: string): Promise<Buffer | undefined> {
    const { entry } = this
    if (entry.kind === 'directory') return undefined
    if (this.#hash.digest('hex') !== entry.sha256) {
      throw corrupt(key, `the content of ${display(entry.path)} does not match its SHA-256`)
    }
    this.#finished = true
    await this.#file?.finish(entry.mtime)
    return this.#file ? undefined : Buffer.concat(this.#kept)
  }

  async abandon(): Promise<void> {
    if (!this.#finished) await this.#file?.abandon()
  }
}

/** A member of a part must be the next one of the list. */
function requireSame(member: TarMember, entry: FilesEntry | undefined, part: BackupPart, key: string): FilesEntry {
  const path = part.tablespace === null ? member.name : `pg_tblspc/${part.tablespace}/${member.name}`
  const same =
    entry?.path === path &&
    entry.part === part.number &&
    entry.kind === member.kind &&
    entry.mode === member.mode &&
    (entry.kind === 'directory' || (entry.size === member.size && entry.mtime === member.mtime))
  if (entry && same) return entry
  const expected = entry ? display(entry.path) : 'nothing more'
  throw corrupt(key, `it holds ${display(path)}, where the list of files has ${expected}, or other facts about it`)
}

async function* readFilesList(source: StoredObjectSource, record: BackupRecord): AsyncGenerator<FilesEntry, void> {
  const object = source.prefix + record.files.name
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of readStored(source, record.files, Number.MAX_SAFE_INTEGER)) {
    const text = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
    let start = 0
    for (let end = text.indexOf(10); end >= 0; end = text.indexOf(10, start)) {
      yield parseFilesLine(text.toString('utf8', start, end), object)
      start = end + 1
    }
    rest = text.subarray(start)
    if (rest.length > maxLine) throw corrupt(object, `it has a line of more than ${maxLine} bytes`)
  }
  if (rest.length > 0) throw corrupt(object, 'it ends in the middle of a line')
}

async function restoreManifest(source: StoredObjectSource, record: BackupRecord, tree: RestoredTree): Promise<void> {
  const file = await tree.createFile('backup_manifest', 0o600)
  try {
    const maxSize = (record.fileCount + 1) * maxLine
    for await (const chunk of readStored(source, record.manifest, maxSize)) await file.write(chunk)
  } catch (error) {
    await file.abandon()
    throw error
  }
  await file.finish()
}

async function linkTablespaces(data: RestoredTree, tablespaces: readonly RestoredTablespace[]): Promise<void> {
  for (const { oid, directory } of tablespaces) {
    const link = join(data.root, `pg_tblspc/${oid}`)
    try {
      await symlink(directory, toBytes(link))
    } catch (cause) {
      throw localIoError('make symbolic link', display(link), cause, 'Check that this user may write there.')
    }
  }
}

/** Byte for byte the old one, if every tablespace went where that says. */
function tablespaceMapOf(map: HeldBack, tablespaces: readonly RestoredTablespace[]): Buffer {
  const locations = new Map(
    parseTablespaceMap(map.content.toString('utf8')).map(({ oid, location }) => [oid, location]),
  )
  if (tablespaces.every(({ oid, directory }) => locations.get(oid) === directory)) return map.content
  return Buffer.from(
    formatTablespaceMap(tablespaces.map(({ oid, directory }) => ({ oid, location: directory }))),
    'utf8',
  )
}

async function restoreHeldBack(tree: RestoredTree, { entry }: HeldBack, content: Buffer): Promise<void> {
  await writeFile(tree, entry.path, entry.mode, content, entry.mtime)
}

async function writeFile(
  tree: RestoredTree,
  path: BytePath,
  mode: number,
  content: Buffer,
  mtime?: number,
): Promise<void> {
  const file = await tree.createFile(path, mode)
  try {
    await file.write(content)
  } catch (error) {
    await file.abandon()
    throw error
  }
  await file.finish(mtime)
}

function corrupt(object: string, reason: string): SeawallError {
  return new SeawallError('corrupt', {
    operation: 'restore',
    object,
    reason,
    hint: 'The backup is damaged: restore the object from a copy of the archive, or use another backup.',
  })
}
