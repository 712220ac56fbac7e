/** How an object gets its final name: all at once, durably, and only if nobody else has it. */
import { constants } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fsyncDirectory, temporaryName } from '../core/durable-file.ts'
import { errno } from '../core/errors.ts'
import { archiveIoError, changedObject, foreignEntry, noHardLinks, withSecondary } from './local-errors.ts'
import { confirmRoot, confirmWay, type Identity, isSame, pathOf, type Root } from './local-root.ts'
import type { CallOptions, Content } from './storage.ts'

const directoryMode = 0o750
const fileMode = 0o640

/** After so many bytes they are brought to the disk, so that the last fsync is short and progress can be seen. */
const syncEvery = 64 * 1024 * 1024

/** How often somebody may remove what was found a moment before, until that is an error. */
const attempts = 100

/** What link(2) says where the file system has no hard links. */
const noLinkErrors: readonly (string | undefined)[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']

/**
 * Writes a temporary file beside the final name, syncs it, links it to the final name (which fails if that is taken), and
 * syncs the directories. They are synced also if the name is taken, because its writer may have died before doing so.
 */
export async function putIfAbsent(
  root: Root,
  key: string,
  content: Content,
  options?: CallOptions,
): Promise<'created' | 'exists'> {
  options?.signal?.throwIfAborted()
  const path = pathOf(root, key)
  await confirmWay(root, key)
  const { file, temporary } = await createTemporary(root, path)
  const outcome = await publish(root, file, temporary, path, content, options).catch(async (error: unknown) => {
    throw await cleanedUp(root, temporary, error)
  })
  await unlinkTemporary(root, temporary)
  await syncDirectories(root, path)
  await confirmWay(root, key)
  return outcome
}

async function publish(
  root: Root,
  file: FileHandle,
  temporary: string,
  path: string,
  content: Content,
  options: CallOptions | undefined,
): Promise<'created' | 'exists'> {
  const identity = await fill(file, temporary, content, options)
  options?.signal?.throwIfAborted()
  return linkIfAbsent(root, temporary, path, identity)
}

/** Creates the temporary file and the directories above it, while others may remove those that they find empty. */
async function createTemporary(root: Root, path: string): Promise<{ file: FileHandle; temporary: string }> {
  const temporary = temporaryName(path)
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
  for (let attempt = 1; ; attempt += 1) {
    try {
      return { file: await root.fileSystem.open(temporary, flags, fileMode), temporary }
    } catch (error) {
      if (errno(error) !== 'ENOENT' || attempt === attempts) throw archiveIoError('create', temporary, error)
    }
    await confirmRoot(root)
    await createDirectories(root, path)
  }
}

/** Creates the directories between the root and `path`, one by one, and never the root. */
async function createDirectories(root: Root, path: string): Promise<void> {
  for (const directory of directoriesAbove(root, path).reverse().slice(1)) {
    try {
      await root.fileSystem.mkdir(directory, directoryMode)
    } catch (error) {
      if (errno(error) === 'ENOENT') return
      if (errno(error) !== 'EEXIST') throw archiveIoError('create directory', directory, error)
    }
  }
}

/** Writes, syncs and closes the temporary file. */
async function fill(
  file: FileHandle,
  temporary: string,
  content: Content,
  options: CallOptions | undefined,
): Promise<Identity> {
  let identity: Identity
  try {
    const size = await writeAll(file, temporary, content, options)
    await file.sync().catch(failed('sync', temporary))
    const status = await file.stat({ bigint: true }).catch(failed('write', temporary))
    if (status.size !== BigInt(size)) {
      throw changedObject('write', temporary, `it has ${status.size} bytes after ${size} were written`)
    }
    identity = { dev: status.dev, ino: status.ino }
  } catch (error) {
    await file.close().catch((secondary: unknown) => {
      throw withSecondary(error, secondary)
    })
    throw error
  }
  await file.close().catch(failed('close', temporary))
  return identity
}

async function writeAll(
  file: FileHandle,
  temporary: string,
  content: Content,
  options: CallOptions | undefined,
): Promise<number> {
  let size = 0
  let synced = 0
  for await (const chunk of content) {
    for (let offset = 0; offset < chunk.length; ) {
      options?.signal?.throwIfAborted()
      const { bytesWritten } = await file.write(chunk, offset).catch(failed('write', temporary))
      offset += bytesWritten
      size += bytesWritten
      options?.onProgress?.(bytesWritten)
    }
    if (size - synced >= syncEvery) {
      await file.datasync().catch(failed('sync', temporary))
      synced = size
      options?.onProgress?.(0)
    }
  }
  return size
}

async function linkIfAbsent(
  root: Root,
  temporary: string,
  path: string,
  identity: Identity,
): Promise<'created' | 'exists'> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await root.fileSystem.link(temporary, path)
      return 'created'
    } catch (error) {
      if (noLinkErrors.includes(errno(error))) throw noHardLinks(path, error)
      if (errno(error) !== 'EEXIST') {
        if (errno(error) === 'ENOENT') await confirmRoot(root)
        throw archiveIoError('publish', path, error)
      }
    }
    const existing = await syncExisting(root, path, attempt < attempts)
    // A network file system may repeat a link whose answer got lost, and then find the name taken by the first one.
    if (existing !== undefined) return isSame(existing, identity) ? 'created' : 'exists'
  }
}

/** Makes the bytes of somebody else's object durable; undefined if it has gone again. */
async function syncExisting(root: Root, path: string, mayBeGone: boolean): Promise<Identity | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await root.fileSystem.open(path, flags).catch((error: unknown) => {
    if (mayBeGone && errno(error) === 'ENOENT') return undefined
    throw archiveIoError('sync', path, error)
  })
  if (!file) return undefined
  try {
    const status = await file.stat({ bigint: true }).catch(failed('sync', path))
    if (!status.isFile()) throw foreignEntry('publish', path, 'something that is no file has this name')
    await file.sync().catch(failed('sync', path))
    return { dev: status.dev, ino: status.ino }
  } finally {
    await file.close()
  }
}

async function syncDirectories(root: Root, path: string): Promise<void> {
  await Promise.all(
    directoriesAbove(root, path).map((directory) =>
      fsyncDirectory(directory, root.fileSystem).catch(failed('sync directory', directory)),
    ),
  )
}

/** From the one that holds `path` up to the root. */
function directoriesAbove(root: Root, path: string): string[] {
  const directories = [dirname(path)]
  while (directories.at(-1) !== root.path) directories.push(dirname(directories.at(-1)!))
  return directories
}

async function unlinkTemporary(root: Root, temporary: string): Promise<void> {
  await root.fileSystem.unlink(temporary).catch(failed('remove', temporary))
}

/** Removes the temporary file after `error`; gives back the error to throw. */
async function cleanedUp(root: Root, temporary: string, error: unknown): Promise<unknown> {
  try {
    await unlinkTemporary(root, temporary)
    return error
  } catch (secondary) {
    return withSecondary(error, secondary)
  }
}

function failed(operation: string, path: string): (error: unknown) => never {
  return (error) => {
    throw archiveIoError(operation, path, error)
  }
}
