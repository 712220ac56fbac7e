/** The directory that a local archive lies in: never created, and never mistaken for another one. */
import { constants } from 'node:fs'
import type * as nodeFileSystem from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { errno, SeawallError } from '../core/errors.ts'
import { archiveIoError, foreignEntry } from './local-errors.ts'

/** What a local archive needs of `node:fs/promises`. */
export type FileSystem = Pick<
  typeof nodeFileSystem,
  'link' | 'lstat' | 'mkdir' | 'open' | 'readdir' | 'rmdir' | 'stat' | 'unlink'
>

export interface Root {
  readonly path: string
  readonly url: string
  readonly fileSystem: FileSystem
  /** Tells the directory from the empty one that stands in its place when a disk is not mounted. */
  readonly identity: Identity
}

/** What tells a file from every other one. The numbers have 64 bits, more than a double can tell apart. */
export interface Identity {
  readonly dev: bigint
  readonly ino: bigint
}

/** @throws SeawallError `archive-missing` if there is no directory at `path` */
export async function openRoot(path: string, fileSystem: FileSystem): Promise<Root> {
  // stat(2) does not make an automounter mount; opening the directory does.
  try {
    const directory = await fileSystem.open(path, constants.O_RDONLY | constants.O_DIRECTORY)
    await directory.close()
  } catch (error) {
    // Who may enter, but not list it, can read what is below all the same.
    if (errno(error) !== 'EACCES') openFailed(path)(error)
  }
  return { path, url: pathToFileURL(path).href, fileSystem, identity: await identityOf(path, fileSystem) }
}

/**
 * To be called before absence is stated: a file that is not there proves something only while the root is.
 * @throws SeawallError `archive-missing` if the root is gone, or another directory has taken its place
 */
export async function confirmRoot(root: Root): Promise<void> {
  if (isSame(await identityOf(root.path, root.fileSystem), root.identity)) return
  throw missing(root.path, 'another directory has taken its place since it was opened')
}

/** The path of an object, or of a directory (whose key may end in `/`, or be empty for the root). */
export function pathOf(root: Root, key: string): string {
  return join(root.path, key)
}

export function isSame(one: Identity, other: Identity): boolean {
  return one.dev === other.dev && one.ino === other.ino
}

/**
 * To be called before absence is stated, and before anything is written: every directory between the root and a key
 * must be a real one on the root's own file system. A link or a mount point among them may lead to a disk that is not
 * mounted, behind which everything looks absent.
 * @throws SeawallError `archive-missing` if the root is gone, `archive-io` if something foreign lies on the way
 */
export async function confirmWay(root: Root, key: string): Promise<void> {
  await confirmRoot(root)
  const names = key.split('/').slice(0, -1)
  for (let depth = 1; depth <= names.length; depth += 1) {
    const path = pathOf(root, names.slice(0, depth).join('/'))
    try {
      const status = await root.fileSystem.lstat(path, { bigint: true })
      if (status.isSymbolicLink()) throw foreignEntry('enter', path, 'it is a symbolic link')
      if (!status.isDirectory()) throw foreignEntry('enter', path, 'a file stands where a directory should be')
      if (status.dev !== root.identity.dev) throw foreignEntry('enter', path, 'another file system is mounted there')
    } catch (error) {
      if (errno(error) === 'ENOENT') return
      throw error instanceof SeawallError ? error : archiveIoError('enter', path, error)
    }
  }
}

async function identityOf(path: string, { stat }: FileSystem): Promise<Identity> {
  try {
    const status = await stat(path, { bigint: true })
    if (status.isDirectory()) return { dev: status.dev, ino: status.ino }
  } catch (error) {
    openFailed(path)(error)
  }
  throw missing(path, 'it is no directory')
}

function openFailed(path: string): (error: unknown) => never {
  return (error) => {
    if (errno(error) === 'ENOENT') throw missing(path, 'the directory does not exist', error)
    if (errno(error) === 'ENOTDIR') throw missing(path, 'it is no directory', error)
    throw archiveIoError('open archive', path, error)
  }
}

function missing(path: string, reason: string, cause?: unknown): SeawallError {
  return new SeawallError('archive-missing', {
    operation: 'open archive',
    object: path,
    reason,
    hint: 'Is the disk mounted? The root directory of an archive is never created: mount it, or make a new directory that belongs to the user of PostgreSQL.',
    cause,
  })
}
