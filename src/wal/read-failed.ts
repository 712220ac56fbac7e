/** What it means when the WAL file itself cannot be read. */
import { localIoError } from '../core/errors.ts'

/** For a `catch`: throws the error that says so. */
export function readFailed(path: string): (cause: unknown) => never {
  return (cause) => {
    throw localIoError('read', path, cause, 'Check the disk of the data directory: the file was not archived.')
  }
}
