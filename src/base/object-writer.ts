/** Writes one object of a backup as its bytes come, with the storage's own pace. */
import { createHash } from 'node:crypto'
import type { StoredFile } from '../core/backup-record.ts'
import { SeawallError } from '../core/errors.ts'
import type { CallOptions, Storage } from '../storage/storage.ts'
import { nameOf } from './byte-path.ts'

export interface ObjectWriter {
  /** Bytes written so far. */
  readonly size: number
  /** Hands bytes to the storage; fulfilled when they may be reused. */
  write(bytes: Uint8Array): Promise<void>
  /** Ends the object; fulfilled when it is durable under its key. */
  finish(): Promise<StoredFile>
  /** Leaves nothing under the key, unless `finish` was fulfilled. Never throws. */
  abandon(reason: unknown): Promise<void>
}

/**
 * Begins an object.
 * @param onCreated is called as soon as the object stands under its key.
 * @throws SeawallError (by `write` or `finish`) `conflict` if the key is taken, or what the storage throws.
 */
export function openObjectWriter(
  storage: Storage,
  key: string,
  onCreated: (key: string) => void,
  options: CallOptions,
): ObjectWriter {
  const hash = createHash('sha256')
  const pipe = new Handover()
  let size = 0
  const stored = storage.putIfAbsent(key, pipe.chunks(), options).then((outcome) => {
    if (outcome === 'created') onCreated(key)
    else throw taken(storage, key)
  })
  // Whoever waits to hand over bytes is told at once; `finish` tells it too.
  stored.catch((error) => pipe.fail(error))
  return {
    get size() {
      return size
    },
    async write(bytes) {
      if (bytes.length === 0) return
      hash.update(bytes)
      size += bytes.length
      await pipe.hand(bytes)
    },
    async finish() {
      pipe.end()
      await stored
      return { name: nameOf(key), size, sha256: hash.digest('hex') }
    },
    async abandon(reason) {
      pipe.fail(reason)
      await stored.catch(() => {})
    },
  }
}

function taken(storage: Storage, key: string): SeawallError {
  return new SeawallError('conflict', {
    operation: 'write',
    object: key,
    reason: `${storage.url} already holds an object of that name`,
    hint: 'Another backup began in the same second, or one that was killed left it. Run base-push again.',
  })
}

/** Passes chunks from one side that pushes to another that pulls, one at a time. */
class Handover {
  #chunk: Uint8Array | undefined
  #ended = false
  #failure: { readonly error: unknown } | undefined = undefined
  /** Wakes up the side that waits; only one ever does. */
  #producer = Promise.withResolvers<void>()
  #consumer = Promise.withResolvers<void>()

  /** Fulfilled when the other side has come back for the next chunk. */
  async hand(bytes: Uint8Array): Promise<void> {
    this.#throwFailure()
    this.#producer = Promise.withResolvers()
    this.#chunk = bytes
    this.#consumer.resolve()
    await this.#producer.promise
    this.#throwFailure()
  }

  end(): void {
    this.#ended = true
    this.#consumer.resolve()
  }

  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#producer.resolve()
    this.#consumer.resolve()
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      while (!this.#chunk && !this.#ended && !this.#failure) {
        this.#consumer = Promise.withResolvers()
        await this.#consumer.promise
      }
      this.#throwFailure()
      if (!this.#chunk) return
      yield this.#chunk
      this.#chunk = undefined
      this.#producer.resolve()
    }
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error
  }
}
