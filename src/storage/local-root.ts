/** The directory that a local archive lies in: never created, and never mistaken for another one. */
import type * as nodeFileSystem from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { errno, SeawallError } from '../core/errors.ts'
import { archiveIoError } from './local-errors.ts'

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
  readonly inode: number
}

/** @throws SeawallError `archive-missing` if there is no directory at `path` */
export async function openRoot(path: string, fileSystem: FileSystem): Promise<Root> {
  return { path, url: pathToFileURL(path).href, fileSystem, inode: await inodeOf(path, fileSystem) }
}

/**
 * To be called before absence is stated: a file that is not there proves something only while the root is.
 * @throws SeawallError `archive-missing` if the root is gone, or another directory has taken its place
 */
export async function confirmRoot(root: Root): Promise<void> {
  if ((await inodeOf(root.path, root.fileSystem)) === root.inode) return
  throw missing(root.path, 'another directory has taken its place since it was opened')
}

/** The path of an object, or of a directory (whose key may end in `/`, or be empty for the root). */
export function pathOf(root: Root, key: string): string {
  return join(root.path, key)
}

async function inodeOf(path: string, { stat }: FileSystem): Promise<number> {
  try {
    const status = await stat(path)
    if (status.isDirectory()) return status.ino
  } catch (error) {
    if (errno(error) === 'ENOENT') throw missing(path, 'the directory does not exist', error)
    if (errno(error) !== 'ENOTDIR') throw archiveIoError('open archive', path, error)
  }
  throw missing(path, 'it is no directory')
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
