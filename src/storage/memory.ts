/** Objects in memory, with the guarantees of every other storage but survival: for tests. */
import { assertKey, assertPrefix } from './keys.ts'
import type { ObjectInfo, Storage } from './storage.ts'

const chunkSize = 64 * 1024

interface Entry {
  readonly bytes: Uint8Array
  readonly modified: Date
}

export function memoryStorage(): Storage {
  const objects = new Map<string, Entry>()

  const infoOf = (key: string): ObjectInfo | undefined => {
    const entry = objects.get(key)
    return entry && { key, size: entry.bytes.length, modified: entry.modified }
  }

  return {
    url: 'memory:',
    async head(key, options) {
      assertKey(key)
      options?.signal?.throwIfAborted()
      return infoOf(key)
    },
    async get(key, range, options) {
      assertKey(key)
      options?.signal?.throwIfAborted()
      const entry = objects.get(key)
      if (!entry) return undefined
      const body = async function* () {
        const end = Math.min(range?.end ?? entry.bytes.length, entry.bytes.length)
        for (let start = range?.start ?? 0; start < end; start += chunkSize) {
          options?.signal?.throwIfAborted()
          const chunk = Uint8Array.from(entry.bytes.subarray(start, Math.min(start + chunkSize, end)))
          options?.onProgress?.(chunk.length)
          yield chunk
        }
      }
      return { ...infoOf(key)!, body: body() }
    },
    async *list(prefix, options) {
      assertPrefix(prefix)
      options?.signal?.throwIfAborted()
      for (const key of [...objects.keys()].sort()) {
        options?.signal?.throwIfAborted()
        if (!key.startsWith(prefix) || key <= (options?.after ?? '')) continue
        const info = infoOf(key)
        if (info) yield info
      }
    },
    async listDirectories(prefix, options) {
      assertPrefix(prefix)
      options?.signal?.throwIfAborted()
      const below = [...objects.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length))
      return [...new Set(below.filter((key) => key.includes('/')).map((key) => key.slice(0, key.indexOf('/'))))].sort()
    },
    async putIfAbsent(key, content, options) {
      assertKey(key)
      options?.signal?.throwIfAborted()
      const chunks: Uint8Array[] = []
      for await (const chunk of content) {
        options?.signal?.throwIfAborted()
        chunks.push(Uint8Array.from(chunk))
        options?.onProgress?.(chunk.length)
      }
      options?.signal?.throwIfAborted()
      if (objects.has(key)) return 'exists'
      objects.set(key, { bytes: Buffer.concat(chunks), modified: new Date() })
      return 'created'
    },
    async remove(keys, options) {
      const checked = [...keys]
      for (const key of checked) assertKey(key)
      for (const key of checked) {
        options?.signal?.throwIfAborted()
        objects.delete(key)
      }
    },
    async removeAbandoned(prefix, _before, options) {
      assertPrefix(prefix)
      options?.signal?.throwIfAborted()
      return 0
    },
  }
}
