/**
 * The storage contract. Everything above sees an archive through these interfaces only.
 *
 * A storage is a flat map from keys to immutable objects. Keys are `/`-separated, relative, printable ASCII, without
 * empty, `.` or `..` segments; a bad key is a programming error and throws. What every backend guarantees, and the
 * contract suite checks:
 *
 * - **Create-only.** `putIfAbsent` is atomic: of any number of racing writers of one key at most one is told `created`,
 *   all others `exists`; what has been created is never changed. There is no other way to write. A writer whose first
 *   answer got lost may find its own object there: `exists` does not say whose it is.
 * - **Durable.** When `putIfAbsent` returned (either way), the object survives a power cut, and so do the directories
 *   that lead to it. That holds for `exists` too: another writer may have died between publishing and syncing.
 * - **Whole or absent.** A reader or a listing sees an object with all its bytes or not at all, also while it is being
 *   written, and after its writer was killed.
 * - **Read after write.** What was created is seen at once by `head`, `get` and `list`.
 * - **Absence is a statement.** `undefined` from `head` and `get`, and an empty `list`, mean that the medium itself was
 *   reached and says that there is nothing. Everything else (no medium, no permission, I/O error, deadline) throws.
 * - **Order.** `list` yields keys in ascending byte order of the whole key, and does so with bounded memory. A medium that
 *   lists in another order (S3's directory buckets) cannot be a backend.
 * - **Errors** are `SeawallError`s with code `archive-missing`, `archive-io` or `timeout`, classified by errno or status,
 *   with `transient` set where the same call may succeed later. Bytes that do not come although the object has them
 *   are an error, never a shorter stream.
 */

export interface ObjectInfo {
  readonly key: string
  /** Bytes. */
  readonly size: number
  /** When the object was created, by the medium's clock. */
  readonly modified: Date
}

export interface StoredObject extends ObjectInfo {
  /**
   * The bytes of the requested range, once, in chunks of any size. The chunks belong to the reader. Ending the iteration
   * early releases everything that the read holds.
   */
  readonly body: AsyncIterable<Uint8Array>
}

export interface ByteRange {
  /** First byte. */
  readonly start: number
  /** One past the last byte; an object that is shorter yields what it has. */
  readonly end: number
}

export interface CallOptions {
  /** Aborts the call: it rejects with the signal's reason, and nothing half-done stays under a final name. */
  readonly signal?: AbortSignal
  /** Called whenever bytes moved, so that a deadline can count time without progress. */
  readonly onProgress?: (bytes: number) => void
}

export interface ListOptions extends CallOptions {
  /** Only keys after this one in byte order. */
  readonly after?: string
}

/**
 * What to store: chunks in memory (which a backend may read again to retry), or a stream that is read once.
 * A chunk handed out by a stream is not touched by its producer again until the next one is asked for.
 */
export type Content = readonly Uint8Array[] | AsyncIterable<Uint8Array>

export interface ReadableStorage {
  /** For messages: the archive's URL without any secret. */
  readonly url: string
  /** Size and time of an object; undefined if the medium says that there is none. */
  head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined>
  /**
   * An object, or a range of it; undefined if the medium says that there is none. `size` is always that of the whole.
   * Nothing is held before the iteration over `body` begins.
   */
  get(key: string, range?: ByteRange, options?: CallOptions): Promise<StoredObject | undefined>
  /** All objects whose key starts with `prefix` (which ends in `/` or is empty), ascending. Temporary files are not objects. */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo>
  /** The names directly below `prefix` (which ends in `/` or is empty) that have objects below them, without `/`, ascending. */
  listDirectories(prefix: string, options?: CallOptions): Promise<string[]>
}

export interface Storage extends ReadableStorage {
  /**
   * Creates an object, durably and atomically, unless the key is taken.
   * @returns `created`, or `exists` if the key was already taken (whatever its content, which the caller compares).
   */
  putIfAbsent(key: string, content: Content, options?: CallOptions): Promise<'created' | 'exists'>
  /**
   * Removes objects; a key that is not there is no error. What must go first is removed by a call of its own: within one
   * the order is the backend's, and so is what is left when it throws.
   */
  remove(keys: Iterable<string>, options?: CallOptions): Promise<void>
  /**
   * Removes what dead writers left below `prefix` (temporary files, unfinished uploads) before the given moment.
   * @returns how many there were.
   */
  removeAbandoned(prefix: string, before: Date, options?: CallOptions): Promise<number>
}
