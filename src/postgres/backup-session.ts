/** A non-exclusive base backup on the server: begun, ended, or abandoned, always on one and the same connection. */
import { SeawallError } from '../core/errors.ts'
import { type Lsn, parseLsn } from '../core/lsn.ts'
import type { Connection } from './connection.ts'

export interface BackupStart {
  readonly lsn: Lsn
  readonly timeline: number
  /** By the server's clock, not later than the start. */
  readonly startedAt: Date
}

export interface BackupStop {
  /** All WAL up to here is needed to restore the backup. */
  readonly lsn: Lsn
  /** By the server's clock, not earlier than the stop: recovery cannot end before it. */
  readonly stoppedAt: Date
  /** Contents of `backup_label`. */
  readonly label: string
  /** Contents of `tablespace_map`; empty if there are no tablespaces. */
  readonly tablespaceMap: string
}

export interface BackupSession {
  readonly start: BackupStart
  /** Ends the backup. Does not wait for WAL to be archived. @throws SeawallError `postgres` */
  stop(): Promise<BackupStop>
  /** Makes the server forget the backup, by ending the connection. Never throws; harmless after `stop`. */
  abandon(): Promise<void>
}

interface StartRow {
  readonly lsn: string
  readonly wal_file: string
  readonly pid: number
}

interface StopRow {
  readonly lsn: string
  readonly label: string
  readonly tablespace_map: string
  readonly pid: number
  readonly milliseconds: string
}

/**
 * Begins a backup. Returns when its checkpoint is done: at once with `fast`, else after half of checkpoint_timeout or so.
 * @param label one line, stored in `backup_label`.
 * @param versionNumber `server_version_num`.
 * @throws SeawallError `postgres` if the server refuses or is no primary.
 */
export async function startBackup(
  connection: Connection,
  { label, fast, versionNumber }: { readonly label: string; readonly fast: boolean; readonly versionNumber: number },
): Promise<BackupSession> {
  const [before] = await connection.query<{ pid: number; in_recovery: boolean; milliseconds: string }>(
    `select pg_backend_pid() as pid, pg_is_in_recovery() as in_recovery,
      floor(extract(epoch from clock_timestamp()) * 1000)::bigint as milliseconds`,
  )
  if (before!.in_recovery) {
    throw new SeawallError('postgres', {
      operation: 'begin a base backup on',
      object: connection.name,
      reason: 'the server is a standby or still recovers; base backups are taken from the primary',
      hint: 'Run base-push on the primary.',
    })
  }
  const [row] = await connection.query<StartRow>(
    versionNumber >= 150_000 ? startSql('pg_backup_start($1, $2)') : startSql('pg_start_backup($1, $2, false)'),
    [label, fast],
  )
  const { pid } = before!
  requireSameBackend(connection, pid, row!.pid)
  const start = {
    lsn: lsnOf(row!.lsn),
    timeline: Number.parseInt(row!.wal_file.slice(0, 8), 16),
    startedAt: new Date(Number(before!.milliseconds)),
  }
  return {
    start,
    stop: async () => {
      const [current] = await connection.query<{ pid: number }>('select pg_backend_pid() as pid')
      requireSameBackend(connection, pid, current!.pid)
      const [stop] = await connection.query<StopRow>(
        versionNumber >= 150_000 ? stopSql('pg_backup_stop(false)') : stopSql('pg_stop_backup(false, false)'),
      )
      requireSameBackend(connection, pid, stop!.pid)
      return {
        lsn: lsnOf(stop!.lsn),
        stoppedAt: new Date(Number(stop!.milliseconds)),
        label: stop!.label,
        tablespaceMap: stop!.tablespace_map,
      }
    },
    abandon: () => connection.close(),
  }
}

/** pg_walfile_name() names the timeline on which the server writes. */
function startSql(call: string): string {
  return `select lsn::text, pg_walfile_name(lsn) as wal_file, pg_backend_pid() as pid from ${call} as lsn`
}

function stopSql(call: string): string {
  return `select lsn::text, labelfile as label, spcmapfile as tablespace_map, pg_backend_pid() as pid,
    ceil(extract(epoch from clock_timestamp()) * 1000)::bigint as milliseconds from ${call}`
}

/** A pooler may hand each statement to another server process, and the backup belongs to the one that began it. */
function requireSameBackend(connection: Connection, expected: number, actual: number): void {
  if (expected === actual) return
  throw new SeawallError('postgres', {
    operation: 'keep one session with',
    object: connection.name,
    reason: `statements are answered by different server processes (${expected}, then ${actual})`,
    hint: 'Connect to PostgreSQL itself, and not through a connection pooler.',
  })
}

function lsnOf(text: string): Lsn {
  const lsn = parseLsn(text)
  if (lsn === undefined) throw new TypeError(`not an LSN: ${text}`)
  return lsn
}
