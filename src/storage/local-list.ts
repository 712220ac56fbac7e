/** Listing what lies below a local root, directory by directory. */
import type { Dirent } from 'node:fs'
import { isTemporaryName } from '../core/durable-file.ts'
import { errno } from '../core/errors.ts'
import { archiveIoError, changedObject, foreignEntry } from './local-errors.ts'
import { infoOf } from './local-read.ts'
import { confirmWay, pathOf, type Root } from './local-root.ts'
import type { CallOptions, ListOptions, ObjectInfo } from './storage.ts'

/** Made by mkfs in the root directory of a disk; only root can read it. */
const lostAndFound = 'lost+found'

/** Files that are looked at together. */
const batchSize = 32

/** How often a directory may be read that changes meanwhile, until that is an error. */
const attempts = 100

interface Entry {
  /** Key of a file; key of a directory with `/` at its end, so that keys sort like the keys below them. */
  readonly key: string
  readonly isDirectory: boolean
}

/** All objects below a prefix, ascending. */
export async function* list(root: Root, prefix: string, options?: ListOptions): AsyncGenerator<ObjectInfo> {
  await confirmWay(root, prefix)
  yield* walk(root, prefix, options)
  await confirmWay(root, prefix)
}

/** The names of the directories right below a prefix that have objects below them. */
export async function listDirectories(root: Root, prefix: string, options?: CallOptions): Promise<string[]> {
  await confirmWay(root, prefix)
  const names: string[] = []
  for (const entry of await readDirectory(root, prefix)) {
    if (entry.isDirectory && (await hasObjects(root, entry.key, options)))
      names.push(entry.key.slice(prefix.length, -1))
  }
  await confirmWay(root, prefix)
  return names.sort()
}

/** The keys of all temporary files below a prefix. */
export async function* listTemporary(root: Root, prefix: string, options?: CallOptions): AsyncGenerator<string> {
  for (const { key, isDirectory } of await readDirectory(root, prefix)) {
    options?.signal?.throwIfAborted()
    if (isDirectory) yield* listTemporary(root, key, options)
    else if (isTemporaryName(key)) yield key
  }
}

async function hasObjects(root: Root, prefix: string, options: CallOptions | undefined): Promise<boolean> {
  for await (const _ of walk(root, prefix, options)) return true
  return false
}

async function* walk(root: Root, prefix: string, options: ListOptions | undefined): AsyncGenerator<ObjectInfo> {
  const after = options?.after ?? ''
  let batch: string[] = []
  for (const { key, isDirectory } of await readDirectory(root, prefix)) {
    options?.signal?.throwIfAborted()
    if (isDirectory) {
      yield* await infosOf(root, batch)
      batch = []
      // What is below begins with the key, and so all of it comes before `after`, or all of it behind, or both do.
      if (key > after || after.startsWith(key)) yield* walk(root, key, options)
    } else if (key > after && !isTemporaryName(key)) {
      batch.push(key)
      if (batch.length === batchSize) {
        yield* await infosOf(root, batch)
        batch = []
        options?.onProgress?.(0)
      }
    }
  }
  yield* await infosOf(root, batch)
}

/** Leaves out files that have been removed meanwhile. */
async function infosOf(root: Root, keys: readonly string[]): Promise<ObjectInfo[]> {
  const infos = await Promise.all(keys.map((key) => infoOf(root, key)))
  return infos.filter((info) => info !== undefined)
}

/** What a directory holds, ascending; nothing if it does not exist and the root does. */
async function readDirectory(root: Root, prefix: string): Promise<Entry[]> {
  const path = pathOf(root, prefix)
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    try {
      const entries = await root.fileSystem.readdir(path, { withFileTypes: true })
      return entries
        .filter((entry) => !(prefix === '' && entry.name === lostAndFound))
        .map((entry) => entryOf(path, prefix, entry))
        .sort((one, other) => (one.key < other.key ? -1 : 1))
    } catch (error) {
      if (errno(error) !== 'ENOENT') throw archiveIoError('list', path, error)
    }
    // Where a file system does not tell types, a file that vanishes meanwhile looks like a directory that is not there.
    if (!(await exists(root, path))) {
      await confirmWay(root, prefix)
      return []
    }
  }
  throw changedObject('list', path, 'its files vanish faster than they can be listed')
}

async function exists(root: Root, path: string): Promise<boolean> {
  try {
    await root.fileSystem.lstat(path)
    return true
  } catch (error) {
    if (errno(error) === 'ENOENT') return false
    throw archiveIoError('list', path, error)
  }
}

function entryOf(path: string, prefix: string, entry: Dirent): Entry {
  if (entry.isDirectory()) return { key: `${prefix}${entry.name}/`, isDirectory: true }
  if (entry.isFile()) return { key: prefix + entry.name, isDirectory: false }
  throw foreignEntry('list', `${path}/${entry.name}`.replace('//', '/'), 'it is neither a file nor a directory')
}
