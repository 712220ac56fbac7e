/** Small objects, read in one piece. */
import { SeawallError } from '../core/errors.ts'
import type { CallOptions, ReadableStorage } from './storage.ts'

/**
 * The bytes of an object, or undefined if there is none.
 * @param maxSize in bytes; a larger object is an error (`corrupt`), so that a damaged archive cannot exhaust memory.
 */
export async function readWhole(
  storage: ReadableStorage,
  key: string,
  maxSize: number,
  options?: CallOptions,
): Promise<Uint8Array | undefined> {
  const object = await storage.get(key, undefined, options)
  if (!object) return undefined
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of object.body) {
    size += chunk.length
    if (size > maxSize) {
      throw new SeawallError('corrupt', {
        operation: 'read',
        object: key,
        reason: `it is larger than ${maxSize} bytes, which no such object is`,
        hint: 'Restore the object from a copy of the archive.',
      })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
