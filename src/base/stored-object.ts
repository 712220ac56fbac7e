/** Reads an object of a backup, which must be exactly the one that backup.json tells of. */
import { createHash } from 'node:crypto'
import type { Codec } from '../codec/codec.ts'
import type { StoredFile } from '../core/backup-record.ts'
import { SeawallError } from '../core/errors.ts'
import type { CallOptions, ReadableStorage } from '../storage/storage.ts'

export interface StoredObjectSource {
  readonly storage: ReadableStorage
  readonly codec: Codec
  /** The backup's prefix. */
  readonly prefix: string
  readonly calls: CallOptions
}

/**
 * The plain bytes. Size and SHA-256 of the object are those of the record when the iteration ends without an error, and
 * only then.
 * @param maxSize most plain bytes.
 * @throws SeawallError `corrupt`
 */
export async function* readStored(
  { storage, codec, prefix, calls }: StoredObjectSource,
  file: StoredFile,
  maxSize: number,
): AsyncGenerator<Uint8Array> {
  const key = prefix + file.name
  const object = await storage.get(key, undefined, calls)
  if (!object) throw corrupt(key, 'it is not in the archive')
  const hash = createHash('sha256')
  let size = 0
  const stored = async function* () {
    for await (const chunk of object.body) {
      hash.update(chunk)
      size += chunk.length
      yield chunk
    }
  }
  // Told first, because a cut object would otherwise be reported as bad compression.
  if (object.size !== file.size) {
    throw corrupt(key, `it has ${object.size} bytes, and backup.json says ${file.size}`)
  }
  yield* codec.decode(stored(), { object: key, maxSize })
  if (size !== file.size || hash.digest('hex') !== file.sha256) {
    throw corrupt(key, 'its SHA-256 is not the one in backup.json')
  }
}

function corrupt(object: string, reason: string): SeawallError {
  return new SeawallError('corrupt', {
    operation: 'read',
    object,
    reason,
    hint: 'The backup is damaged: restore the object from a copy of the archive, or use another backup.',
  })
}
