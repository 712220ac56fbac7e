/**
 * The directories of a restore, and the only thing that writes below them. An archive is not trusted: a name that leads
 * out, a file or directory that is there already, and a file in a directory that the backup did not make are refused.
 */
import { constants } from 'node:fs'
import { chmod, type FileHandle, mkdir, open } from 'node:fs/promises'
import { errno, localIoError, SeawallError } from '../core/errors.ts'
import { type BytePath, display, join, parentOf, reasonNotPlain, toBytes } from './byte-path.ts'

/** Neither setuid nor setgid: a restore gives nobody the rights of another. */
const keptModeBits = 0o1777

export class RestoredTree {
  /** Absolute, of one directory: the data directory or a tablespace. */
  readonly root: BytePath
  /** Directories that were made, with the permissions that they get in the end. */
  readonly #directories = new Map<BytePath, number>()

  /** @param root an existing, empty directory; a real path. */
  constructor(root: BytePath) {
    this.root = root
  }

  async makeDirectory(path: BytePath, mode: number): Promise<void> {
    this.#check(path)
    // Writable until everything in it is written.
    await this.#attempt('make directory', path, () => mkdir(toBytes(join(this.root, path)), { mode: 0o700 }))
    this.#directories.set(path, mode & keptModeBits)
  }

  /** Creates a file; `finish` or `abandon` must be called. */
  async createFile(path: BytePath, mode: number): Promise<RestoredFile> {
    this.#check(path)
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    const handle = await this.#attempt('create', path, () => open(toBytes(join(this.root, path)), flags, 0o600))
    const attempt = <Value>(call: () => Promise<Value>) => this.#attempt('write', path, call)
    return {
      write: (bytes) => attempt(() => writeAll(handle, bytes)),
      finish: (mtime) =>
        attempt(async () => {
          try {
            await handle.chmod(mode & keptModeBits)
            if (mtime !== undefined) await handle.utimes(mtime, mtime)
          } finally {
            await handle.close()
          }
        }),
      abandon: () => attempt(() => handle.close()),
    }
  }

  /** The permissions that a directory gets in the end; undefined if the backup holds no such directory. */
  modeOf(path: BytePath): number | undefined {
    return this.#directories.get(path)
  }

  /** Gives the directories their permissions, the innermost first, and the root last. */
  async finishDirectories(rootMode: number): Promise<void> {
    for (const [path, mode] of [...this.#directories].reverse()) {
      await this.#attempt('set permissions of', path, () => chmod(toBytes(join(this.root, path)), mode))
    }
    await this.#attempt('set permissions of', '', () => chmod(toBytes(this.root), rootMode))
  }

  #check(path: BytePath): void {
    const parent = parentOf(path)
    const reason = reasonNotPlain(path)
    if (reason !== undefined) throw this.#refused(path, reason)
    if (parent !== '' && !this.#directories.has(parent)) {
      throw this.#refused(path, 'the backup holds no directory for it')
    }
  }

  async #attempt<Value>(operation: string, path: BytePath, call: () => Promise<Value>): Promise<Value> {
    try {
      return await call()
    } catch (cause) {
      if (errno(cause) === 'EEXIST') throw this.#refused(path, 'it exists already', cause)
      const hint = 'Check the space left on the disk, and that this user may write there.'
      throw localIoError(operation, display(join(this.root, path)), cause, hint)
    }
  }

  #refused(path: BytePath, reason: string, cause?: unknown): SeawallError {
    return new SeawallError('corrupt', {
      operation: 'restore',
      object: JSON.stringify(display(path).slice(0, 300)),
      reason,
      hint: 'The backup is damaged or was changed by hand, or somebody else writes into the directory.',
      cause,
    })
  }
}

export interface RestoredFile {
  write(bytes: Uint8Array): Promise<void>
  /** Sets permissions and time (seconds since 1970), and closes the file. */
  finish(mtime?: number): Promise<void>
  abandon(): Promise<void>
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await handle.write(bytes, written, bytes.length - written)).bytesWritten
  }
}
