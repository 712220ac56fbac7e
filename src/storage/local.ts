/**
 * Objects as files below a directory: the key is the path.
 *
 * Nothing below the root is followed that is a symbolic link or another file system's mount point, and nothing else but
 * files and directories may lie there; the root itself may be either. No key can be continued by another one (`a` and `a/b`).
 */
import * as nodeFileSystem from 'node:fs/promises'
import { resolve } from 'node:path'
import { assertKey, assertPrefix } from './keys.ts'
import { list, listDirectories } from './local-list.ts'
import { get, head } from './local-read.ts'
import { remove, removeAbandoned } from './local-remove.ts'
import { type FileSystem, openRoot } from './local-root.ts'
import { putIfAbsent } from './local-write.ts'
import type { Storage } from './storage.ts'

/**
 * The archive below the directory `path`, which must exist.
 * @throws SeawallError `archive-missing`
 */
export async function openLocal(path: string, fileSystem: FileSystem = nodeFileSystem): Promise<Storage> {
  const root = await openRoot(resolve(path), fileSystem)
  return {
    url: root.url,
    async head(key, options) {
      assertKey(key)
      return head(root, key, options)
    },
    async get(key, range, options) {
      assertKey(key)
      return get(root, key, range, options)
    },
    async *list(prefix, options) {
      assertPrefix(prefix)
      yield* list(root, prefix, options)
    },
    async listDirectories(prefix, options) {
      assertPrefix(prefix)
      return listDirectories(root, prefix, options)
    },
    async putIfAbsent(key, content, options) {
      assertKey(key)
      return putIfAbsent(root, key, content, options)
    },
    async remove(keys, options) {
      const checked = [...keys]
      for (const key of checked) assertKey(key)
      await remove(root, checked, options)
    },
    async removeAbandoned(prefix, before, options) {
      assertPrefix(prefix)
      return removeAbandoned(root, prefix, before, options)
    },
  }
}
