/** Whether the server behind a connection is the one that serves a directory. */
import { stat } from 'node:fs/promises'
import { errno, SeawallError } from '../core/errors.ts'
import { formatLsn, type Lsn } from '../core/lsn.ts'
import type { Connection } from './connection.ts'
import { readControlFile } from './pg-control.ts'
import { readPostmasterFile } from './postmaster.ts'

/**
 * Seconds that may lie between the start of the process (postmaster.pid) and pg_postmaster_start_time(), which is taken
 * once shared memory is set up.
 */
const startupAllowance = 300

/**
 * Proves that the server behind the connection is a primary and serves this data directory. A primary's connection with
 * its standby's directory has the same system identifier, and would give a backup that cannot be restored.
 * @param startLsn where a backup began that the server has started: the directory's control file must know of that
 * checkpoint, which no copy of the directory does.
 * @throws SeawallError `refused` with what does not match.
 */
export async function proveOwnership(connection: Connection, dataDirectory: string, startLsn?: Lsn): Promise<void> {
  const refuse = (reason: string, detail?: string): never => {
    throw new SeawallError('refused', {
      operation: 'match the server with the data directory',
      object: dataDirectory,
      reason,
      ...(detail === undefined ? {} : { detail }),
      hint: `Let --pgdata and the connection (${connection.name}) name the same running primary.`,
    })
  }
  const [server] = await connection.query<Record<string, string>>(`
    select (select system_identifier::text from pg_control_system()) as system_identifier,
      current_setting('data_directory') as data_directory,
      current_setting('port') as port,
      floor(extract(epoch from pg_postmaster_start_time()))::bigint::text as started_at,
      pg_is_in_recovery()::text as in_recovery`)
  if (server!.in_recovery === 'true') {
    refuse('the server is a standby or still recovers; base backups are taken from the primary')
  }

  const control = await readControlFile(dataDirectory)
  const identifier = BigInt.asUintN(64, BigInt(server!.system_identifier!)).toString()
  if (control.systemIdentifier !== identifier) {
    refuse('they have different system identifiers', `directory: ${control.systemIdentifier}, server: ${identifier}`)
  }
  if (!(await isSameDirectory(dataDirectory, server!.data_directory!))) {
    refuse(`the server's data directory is ${server!.data_directory}`)
  }
  if (control.known && control.state !== 'in production') {
    refuse(`its control file says "${control.state}", and not "in production" as that of a running primary`)
  }

  const postmaster = await readPostmasterFile(dataDirectory)
  if (!postmaster) return refuse('no server runs on the directory: it has no postmaster.pid')
  if (postmaster.port !== Number(server!.port)) {
    refuse('they have different ports', `directory: ${postmaster.port}, server: ${server!.port}`)
  }
  const delay = Number(server!.started_at) - postmaster.startedAt
  if (delay < 0 || delay > startupAllowance) {
    refuse(
      'they were started at different times',
      `directory: ${isoTime(postmaster.startedAt)}, server: ${isoTime(Number(server!.started_at))}`,
    )
  }
  if (startLsn !== undefined && control.known && control.checkpointRedo < startLsn) {
    refuse(
      "the server's checkpoint did not reach its control file",
      `directory: ${formatLsn(control.checkpointRedo)}, server: ${formatLsn(startLsn)}`,
    )
  }
}

async function isSameDirectory(ours: string, theirs: string): Promise<boolean> {
  try {
    const [a, b] = await Promise.all([stat(ours, { bigint: true }), stat(theirs, { bigint: true })])
    return a.dev === b.dev && a.ino === b.ino
  } catch (error) {
    if (errno(error) !== undefined) return false // Theirs is on another machine, or not for our eyes.
    throw error
  }
}

function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}
