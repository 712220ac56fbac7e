/** What a server says about itself. */
import { SeawallError } from '../core/errors.ts'
import type { Connection } from './connection.ts'

/** The oldest major whose backups can be taken. */
const oldestMajor = 13

export interface ServerSettings {
  /** `server_version`, such as `18.4`, without what a distributor appends. */
  readonly version: string
  /** `server_version_num`, such as 180004. */
  readonly versionNumber: number
  readonly dataDirectory: string
  readonly configFile: string
  readonly hbaFile: string
  readonly identFile: string
  /** Bytes. */
  readonly walSegmentSize: number
  readonly dataChecksums: boolean
  readonly archiveMode: 'off' | 'on' | 'always'
  /** Whether there is an archive_command or archive_library. */
  readonly archives: boolean
}

export interface ArchiverState {
  readonly archivedCount: bigint
  readonly failedCount: bigint
  /** Names of WAL files. */
  readonly lastArchived: string | undefined
  readonly lastFailed: string | undefined
}

/** @throws SeawallError `postgres`, also for a server that is too old. */
export async function readSettings(connection: Connection): Promise<ServerSettings> {
  const [row] = await connection.query<Record<string, string>>(`
    select current_setting('server_version') as version,
      current_setting('server_version_num') as version_number,
      current_setting('data_directory') as data_directory,
      current_setting('config_file') as config_file,
      current_setting('hba_file') as hba_file,
      current_setting('ident_file') as ident_file,
      (select setting from pg_settings where name = 'wal_segment_size') as wal_segment_size,
      current_setting('data_checksums') as data_checksums,
      current_setting('archive_mode') as archive_mode,
      current_setting('archive_command') as archive_command,
      current_setting('archive_library', true) as archive_library`)
  const versionNumber = Number(row!.version_number)
  if (versionNumber < oldestMajor * 10_000) {
    throw new SeawallError('postgres', {
      operation: 'use the server',
      object: connection.name,
      reason: `it is PostgreSQL ${row!.version}`,
      hint: `Upgrade it to PostgreSQL ${oldestMajor} or later.`,
    })
  }
  return {
    version: row!.version!.split(' ')[0]!,
    versionNumber,
    dataDirectory: row!.data_directory!,
    configFile: row!.config_file!,
    hbaFile: row!.hba_file!,
    identFile: row!.ident_file!,
    walSegmentSize: Number(row!.wal_segment_size),
    dataChecksums: row!.data_checksums === 'on',
    archiveMode: row!.archive_mode as ServerSettings['archiveMode'],
    archives: !['', '(disabled)'].includes(row!.archive_command!) || Boolean(row!.archive_library),
  }
}

/** What the archiver has done and failed to do since its statistics were reset. */
export async function readArchiverState(connection: Connection): Promise<ArchiverState> {
  const [row] = await connection.query<{
    archived_count: string
    failed_count: string
    last_archived_wal: string | null
    last_failed_wal: string | null
  }>('select archived_count, failed_count, last_archived_wal, last_failed_wal from pg_stat_archiver')
  return {
    archivedCount: BigInt(row!.archived_count),
    failedCount: BigInt(row!.failed_count),
    lastArchived: row!.last_archived_wal ?? undefined,
    lastFailed: row!.last_failed_wal ?? undefined,
  }
}
