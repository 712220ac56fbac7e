/**
 * What a base backup must hold although no scan can know it: a scan takes what it finds, and a directory that is empty
 * because its disk is not mounted looks like one that the server has just emptied.
 */
import { lstat } from 'node:fs/promises'
import type { Clock } from '../core/clock.ts'
import { errno, localIoError, SeawallError } from '../core/errors.ts'
import type { Database } from '../postgres/databases.ts'
import { type BytePath, display, join, nameOf, toBytes } from './byte-path.ts'
import type { ScannedTablespace } from './scan.ts'

export interface CompletenessCheck {
  readonly dataDirectory: BytePath
  /** Those whose links were found when the scan began. */
  readonly tablespaces: readonly ScannedTablespace[]
  /** What the server's version calls its directory in each tablespace. */
  readonly versionDirectory: string
  /** The databases that exist now. */
  readonly databases: () => Promise<readonly Database[]>
  /** The paths of which `isEvidence` holds, of what the backup has got. */
  readonly recorded: ReadonlySet<BytePath>
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly progressed: () => void
}

/** Milliseconds that the server may need to remove what is being dropped. */
const dropPatience = 60_000
const poll = 100

/** Whether a path of the backup is one that the check asks for. */
export function isEvidence(path: BytePath): boolean {
  return nameOf(path) === 'PG_VERSION' || /^pg_tblspc\/\d+\/[^/]+$/.test(path)
}

/**
 * Every tablespace that still stands must have been found with its directory, and every database with its PG_VERSION,
 * unless it was made meanwhile: WAL replay makes that again.
 * @throws SeawallError `refused` with what is missing.
 */
export async function requireComplete(check: CompletenessCheck): Promise<void> {
  const { clock, signal, progressed } = check
  const end = clock.monotonic() + dropPatience
  for (;;) {
    const missing = (await missingTablespace(check)) ?? (await missingDatabase(check))
    if (missing === undefined) return
    if (clock.monotonic() > end) {
      throw new SeawallError('refused', {
        operation: 'back up',
        object: display(missing),
        reason: 'the server has it, and it was not there when the directory was read',
        hint: 'Check that everything is mounted where the server expects it, and the log of the server; then take the backup again.',
      })
    }
    await clock.sleep(poll, signal)
    progressed()
  }
}

async function missingTablespace(check: CompletenessCheck): Promise<BytePath | undefined> {
  for (const { oid, location } of check.tablespaces) {
    const path = `pg_tblspc/${oid}`
    if (check.recorded.has(`${path}/${check.versionDirectory}`)) continue
    if (await exists(join(check.dataDirectory, path))) return join(location, check.versionDirectory)
  }
  return undefined
}

async function missingDatabase(check: CompletenessCheck): Promise<BytePath | undefined> {
  for (const { oid, tablespace } of await check.databases()) {
    const parent = tablespace === undefined ? 'base' : `pg_tblspc/${tablespace}/${check.versionDirectory}`
    const path = `${parent}/${oid}/PG_VERSION`
    if (check.recorded.has(path)) continue
    const source = join(check.dataDirectory, path)
    if (!(await exists(source))) return source
  }
  return undefined
}

async function exists(path: BytePath): Promise<boolean> {
  try {
    await lstat(toBytes(path))
    return true
  } catch (cause) {
    if (errno(cause) === 'ENOENT' || errno(cause) === 'ENOTDIR') return false
    throw localIoError('look at', display(path), cause, "base-push must run as the server's user.")
  }
}
