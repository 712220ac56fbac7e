/** Makes one part of a backup: a tar, compressed in frames, so that each file can be read alone. */
import { createHash } from 'node:crypto'
import type { Codec, Level } from '../codec/codec.ts'
import type { BackupPart } from '../core/backup-record.ts'
import type { BytePath } from './byte-path.ts'
import type { DirectoryEntry, FileEntry, FilesEntry } from './files-list.ts'
import type { ObjectWriter } from './object-writer.ts'
import type { ScanEntry } from './scan.ts'
import { openSource, type SourceFile } from './source-file.ts'
import { BLOCK_SIZE, END_OF_ARCHIVE, formatHeader, paddingOf, type TarOwner } from './tar.ts'

/** A file of this many bytes or more is a frame of its own. */
const ownFrameSize = 64 * 1024
/** Most plain bytes in a frame that small members share. */
const sharedFrameSize = 1024 * 1024
/** How much of a file is read at a time. */
const readSize = 1024 * 1024

export interface PartOptions {
  readonly number: number
  readonly tablespace: number | null
  readonly codec: Codec
  readonly level: Level
  readonly writer: ObjectWriter
  /** Is told of each member, in the order of the tar, as soon as its frame is written. */
  readonly record: (entry: FilesEntry) => Promise<void>
  readonly signal: AbortSignal
  /** Is told how many bytes of the cluster were read. */
  readonly onRead: (bytes: number) => void
}

/** Content that is in memory already, such as backup_label. */
export interface MemoryFile extends TarOwner {
  readonly path: BytePath
  readonly content: Uint8Array
  readonly mode: number
  readonly mtime: number
}

type Pending = DirectoryEntry | Omit<FileEntry, 'frameOffset' | 'frameLength'>

export class PartMaker {
  readonly #options: PartOptions
  readonly #buffer = new Uint8Array(readSize)
  /** Plain bytes of the shared frame that is being filled, and the members in it. */
  #shared: Uint8Array[] = []
  #sharedSize = 0
  #members: Pending[] = []
  #tarSize = 0

  constructor(options: PartOptions) {
    this.#options = options
  }

  /** Adds what a scan found. @returns false if it has vanished meanwhile and was left out. */
  async add(found: ScanEntry): Promise<boolean> {
    this.#options.signal.throwIfAborted()
    if (found.kind === 'directory') {
      const { path, mode } = found
      const header = formatHeader({ ...found, name: this.#memberName(path) }, found)
      await this.#addSmall([header], { kind: 'directory', path, mode, part: this.#options.number })
      return true
    }
    const source = await openSource(found, { signal: this.#options.signal })
    if (!source) return false
    try {
      if (source.entry.size < ownFrameSize) await this.#addSmallFile(source)
      else await this.#addOwnFrame(source)
    } finally {
      await source.close()
    }
    return true
  }

  async addMemory(file: MemoryFile): Promise<void> {
    const { path, mode, mtime, content } = file
    await this.#addContent({ path, mode, mtime, size: content.length }, file, content)
  }

  /** Writes the end of the tar, and ends the object. */
  async finish(): Promise<BackupPart> {
    await this.#flushShared()
    await this.#write(this.#options.codec.compress(END_OF_ARCHIVE, this.#options.level))
    this.#tarSize += END_OF_ARCHIVE.length
    const { number, tablespace, writer } = this.#options
    return { ...(await writer.finish()), number, tablespace, tarSize: this.#tarSize }
  }

  async #addSmallFile({ entry, read }: SourceFile): Promise<void> {
    const content = new Uint8Array(entry.size)
    let position = 0
    for await (const chunk of read(this.#buffer)) {
      content.set(chunk, position)
      position += chunk.length
    }
    this.#options.onRead(entry.size)
    await this.#addContent(entry, entry, content)
  }

  async #addContent(
    { path, mode, mtime, size }: Pick<FileEntry, 'path' | 'mode' | 'mtime' | 'size'>,
    owner: TarOwner,
    content: Uint8Array,
  ): Promise<void> {
    const header = formatHeader({ kind: 'file', name: this.#memberName(path), size, mode, mtime }, owner)
    const sha256 = createHash('sha256').update(content).digest('hex')
    await this.#addSmall([header, content, zeroes(paddingOf(size))], {
      kind: 'file',
      path,
      mode,
      part: this.#options.number,
      size,
      mtime,
      sha256,
      offsetInFrame: header.length,
    })
  }

  /** Puts a member into the shared frame. The `offsetInFrame` given counts from the member's beginning. */
  async #addSmall(bytes: readonly Uint8Array[], member: Pending): Promise<void> {
    const size = bytes.reduce((sum, piece) => sum + piece.length, 0)
    if (this.#sharedSize + size > sharedFrameSize) await this.#flushShared()
    const offset = this.#sharedSize
    this.#members.push(member.kind === 'file' ? { ...member, offsetInFrame: offset + member.offsetInFrame } : member)
    this.#shared.push(...bytes)
    this.#sharedSize += size
  }

  async #flushShared(): Promise<void> {
    if (this.#sharedSize === 0) return
    const { codec, level, writer } = this.#options
    const frameOffset = writer.size
    await this.#write(codec.compress(Buffer.concat(this.#shared), level))
    const frame = { frameOffset, frameLength: writer.size - frameOffset }
    this.#tarSize += this.#sharedSize
    const members = this.#members
    this.#shared = []
    this.#sharedSize = 0
    this.#members = []
    for (const member of members) {
      await this.#options.record(member.kind === 'file' ? { ...member, ...frame } : member)
    }
  }

  async #addOwnFrame({ entry, read }: SourceFile): Promise<void> {
    await this.#flushShared()
    const { path, mode, mtime, size } = entry
    const { codec, level, writer, number, record, onRead, signal } = this.#options
    const header = formatHeader({ kind: 'file', name: this.#memberName(path), size, mode, mtime }, entry)
    const hash = createHash('sha256')
    const frameOffset = writer.size
    const encoder = codec.encoder(level)
    try {
      await this.#writeAll(await encoder.push(header))
      for await (const chunk of read(this.#buffer)) {
        signal.throwIfAborted()
        hash.update(chunk)
        await this.#writeAll(await encoder.push(chunk))
        onRead(chunk.length)
      }
      if (paddingOf(size) > 0) await this.#writeAll(await encoder.push(zeroes(paddingOf(size))))
      await this.#writeAll(await encoder.finish())
    } finally {
      encoder.close()
    }
    this.#tarSize += header.length + size + paddingOf(size)
    const frameLength = writer.size - frameOffset
    const sha256 = hash.digest('hex')
    const offsetInFrame = header.length
    await record({
      kind: 'file',
      path,
      mode,
      part: number,
      size,
      mtime,
      sha256,
      frameOffset,
      frameLength,
      offsetInFrame,
    })
  }

  /** Members of a tablespace are relative to its location. */
  #memberName(path: BytePath): BytePath {
    const { tablespace } = this.#options
    return tablespace === null ? path : path.slice(`pg_tblspc/${tablespace}/`.length)
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.#options.writer.write(bytes)
  }

  async #writeAll(chunks: readonly Uint8Array[]): Promise<void> {
    for (const chunk of chunks) await this.#write(chunk)
  }
}

/** About how many bytes of a tar an entry takes. */
export function tarSizeOf(entry: ScanEntry): number {
  return BLOCK_SIZE + entry.size + paddingOf(entry.size)
}

function zeroes(length: number): Uint8Array {
  return new Uint8Array(length)
}
