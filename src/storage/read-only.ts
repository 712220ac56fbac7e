/** A storage that cannot be written to, for jobs that must not, such as a dry run. */
import { SeawallError } from '../core/errors.ts'
import type { Storage } from './storage.ts'

/** The same storage, whose writing calls all fail as defects of the program. */
export function readOnly(storage: Storage): Storage {
  const refuse = (operation: string) => (key?: unknown) => {
    const object = typeof key === 'string' ? `${storage.url}/${key}` : storage.url
    return Promise.reject(
      new SeawallError('internal', {
        operation,
        object,
        reason: 'this job may only read the archive',
        hint: 'This is a defect of the program: nothing was changed. Please report it.',
      }),
    )
  }
  return {
    url: storage.url,
    head: (key, options) => storage.head(key, options),
    get: (key, range, options) => storage.get(key, range, options),
    list: (prefix, options) => storage.list(prefix, options),
    listDirectories: (prefix, options) => storage.listDirectories(prefix, options),
    putIfAbsent: refuse('create'),
    remove: refuse('remove from'),
    removeAbandoned: refuse('remove leftovers below'),
  }
}
