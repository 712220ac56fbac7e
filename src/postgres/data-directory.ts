/** The data directory: where it is, and what its files say about recovery. */
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { errno, localIoError, SeawallError } from '../core/errors.ts'

/** `standby`: follows until promoted; `recovery`: to a target or to the end of WAL; `none`: neither signal file is there. */
export type RecoveryMode = 'standby' | 'recovery' | 'none'

export interface DataDirectoryHints {
  /** `--pgdata`, which wins. */
  readonly pgdata?: string | undefined
  /** A file that PostgreSQL named: `%p`. */
  readonly path?: string | undefined
  /** What relative paths start from: the data directory itself when PostgreSQL is the caller. */
  readonly cwd: string
}

/**
 * The data directory, absolute: `--pgdata`, else the parent of the `pg_wal` that holds `path`, by its name only (pg_wal is
 * often a symbolic link to another disk). Undefined if `path` does not stand in the pg_wal of a data directory.
 * @throws SeawallError `refused` if `--pgdata` is no data directory.
 */
export async function findDataDirectory({ pgdata, path, cwd }: DataDirectoryHints): Promise<string | undefined> {
  if (pgdata !== undefined) {
    const directory = resolve(cwd, pgdata)
    if (await exists(directory, 'global/pg_control')) return directory
    throw new SeawallError('refused', {
      operation: 'use the data directory',
      object: directory,
      reason: 'it has no global/pg_control',
      hint: 'Set --pgdata to what "show data_directory" says.',
    })
  }
  if (path === undefined) return undefined
  const walDirectory = dirname(resolve(cwd, path))
  if (basename(walDirectory) !== 'pg_wal') return undefined
  const directory = dirname(walDirectory)
  return (await exists(directory, 'global/pg_control')) ? directory : undefined
}

/** What a server that starts on (or runs on) this directory does: standby.signal wins over recovery.signal. */
export async function recoveryMode(dataDirectory: string): Promise<RecoveryMode> {
  if (await exists(dataDirectory, 'standby.signal')) return 'standby'
  return (await exists(dataDirectory, 'recovery.signal')) ? 'recovery' : 'none'
}

/** Whether somebody asked for promotion (`pg_ctl promote`, `pg_promote()`) and the server has not yet seen to it. */
export async function promoteRequested(dataDirectory: string): Promise<boolean> {
  return exists(dataDirectory, 'promote')
}

/** The names of the WAL files that the server has not yet archived, as far as it knows: those of its `.ready` files. */
export async function waitingWalFiles(dataDirectory: string): Promise<ReadonlySet<string>> {
  const path = join(dataDirectory, 'pg_wal/archive_status')
  try {
    const names = await readdir(path)
    return new Set(names.filter((name) => name.endsWith('.ready')).map((name) => name.slice(0, -'.ready'.length)))
  } catch (cause) {
    throw localIoError('list directory', path, cause, 'Run this as the user of the PostgreSQL server.')
  }
}

async function exists(dataDirectory: string, name: string): Promise<boolean> {
  const path = join(dataDirectory, name)
  try {
    await stat(path)
    return true
  } catch (cause) {
    if (errno(cause) === 'ENOENT' || errno(cause) === 'ENOTDIR') return false
    throw localIoError('look for', path, cause, 'Run this as the user of the PostgreSQL server.')
  }
}
