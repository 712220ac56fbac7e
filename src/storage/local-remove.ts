/** Removing objects and leftovers below a local root. */
import { dirname } from 'node:path'
import { fsyncDirectory } from '../core/durable-file.ts'
import { errno } from '../core/errors.ts'
import { archiveIoError } from './local-errors.ts'
import { listTemporary } from './local-list.ts'
import { confirmRoot, pathOf, type Root } from './local-root.ts'
import type { CallOptions } from './storage.ts'

/** What rmdir(2) says of a directory that must stay: it is not empty, or a disk is mounted on it. */
const staysErrors: readonly (string | undefined)[] = ['ENOTEMPTY', 'EEXIST', 'EBUSY']

/** Removes files in order, and then the directories that they leave empty; durable when it returns. */
export async function remove(root: Root, keys: Iterable<string>, options?: CallOptions): Promise<void> {
  const directories = new Set<string>()
  for (const key of keys) {
    options?.signal?.throwIfAborted()
    const path = pathOf(root, key)
    if (await unlink(root, path)) directories.add(dirname(path))
    options?.onProgress?.(0)
  }
  const remaining = new Set<string>()
  for (const directory of directories) remaining.add(await removeEmpty(root, directory))
  for (const directory of remaining) await syncDirectory(root, directory)
}

/** Removes temporary files last written before a moment; gives back how many. */
export async function removeAbandoned(
  root: Root,
  prefix: string,
  before: Date,
  options?: CallOptions,
): Promise<number> {
  await confirmRoot(root)
  let removed = 0
  for await (const key of listTemporary(root, prefix, options)) {
    const path = pathOf(root, key)
    const modified = await modifiedAt(root, path)
    if (modified !== undefined && modified < before && (await unlink(root, path))) removed += 1
    options?.onProgress?.(0)
  }
  return removed
}

/** Gives back whether the file was there. */
async function unlink(root: Root, path: string): Promise<boolean> {
  try {
    await root.fileSystem.unlink(path)
    return true
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw archiveIoError('remove', path, error)
    await confirmRoot(root)
    return false
  }
}

async function modifiedAt(root: Root, path: string): Promise<Date | undefined> {
  try {
    return (await root.fileSystem.lstat(path)).mtime
  } catch (error) {
    if (errno(error) === 'ENOENT') return undefined
    throw archiveIoError('remove', path, error)
  }
}

/** Removes a directory and those above it as far as they are empty; gives back the lowest one that stays. */
async function removeEmpty(root: Root, directory: string): Promise<string> {
  let lowest = directory
  while (lowest !== root.path) {
    try {
      await root.fileSystem.rmdir(lowest)
    } catch (error) {
      if (staysErrors.includes(errno(error))) break
      if (errno(error) !== 'ENOENT') throw archiveIoError('remove directory', lowest, error)
    }
    lowest = dirname(lowest)
  }
  return lowest
}

/** Syncs a directory, or the lowest one above it that is still there. */
async function syncDirectory(root: Root, directory: string): Promise<void> {
  try {
    await fsyncDirectory(directory, root.fileSystem)
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw archiveIoError('sync directory', directory, error)
    await confirmRoot(root)
    if (directory !== root.path) await syncDirectory(root, dirname(directory))
  }
}
