/** `base-push`: a full base backup of a running cluster. */
import { claimCluster } from '../archive/claim-cluster.ts'
import { layoutOf } from '../archive/find-cluster.ts'
import { openRememberedArchives } from '../archive/remembered-archives.ts'
import { formatSeconds } from '../base/progress.ts'
import { pushBackup } from '../base/push.ts'
import { openCodec } from '../codec/open.ts'
import type { BackupRecord } from '../core/backup-record.ts'
import { formatBytes } from '../core/bytes.ts'
import { SeawallError } from '../core/errors.ts'
import { formatLsn } from '../core/lsn.ts'
import { type Connection, connect } from '../postgres/connection.ts'
import { findDataDirectory } from '../postgres/data-directory.ts'
import { proveOwnership } from '../postgres/identity.ts'
import { readControlFile } from '../postgres/pg-control.ts'
import { readPostmasterFile } from '../postgres/postmaster.ts'
import { readSettings, type ServerSettings } from '../postgres/settings.ts'
import { openStorage } from '../storage/open.ts'
import { type Command, type Context, exitCodesOf, WRITER_ERRORS } from './command.ts'
import { levelOf, type OptionValues, WRITER_OPTIONS } from './options.ts'

const options = [...WRITER_OPTIONS, 'dsn', 'fast-checkpoint', 'wal-timeout', 'json'] as const

type Values = Pick<OptionValues, (typeof options)[number]>

export const basePush: Command<(typeof options)[number]> = {
  name: 'base-push',
  summary: 'Take a base backup of a running cluster',
  positionals: [],
  options,
  exitCodes: [
    { exit: '0', meaning: 'the backup is complete and durable in the archive, and so is the WAL that it needs' },
    ...exitCodesOf(...WRITER_ERRORS, 'postgres'),
  ],
  examples: [
    'base-push --archive file:///backup --pgdata /var/lib/postgresql/18/main',
    'base-push --config /etc/seawall/seawall.yaml --pgdata /var/lib/postgresql/18/main --fast-checkpoint --json',
  ],

  async run(context, values) {
    const started = context.clock.monotonic()
    const given = await findDataDirectory({ pgdata: values.pgdata, cwd: context.cwd })
    const postmaster = given === undefined ? undefined : await readPostmasterFile(given)
    if (given !== undefined && !postmaster) throw notRunning(given)
    const connection = await connect({
      dsn: values.dsn,
      postmaster,
      applicationName: 'seawall base-push',
      signal: context.signal,
    })
    try {
      const record = await push(context, values, connection, given)
      report(context, values, record, context.clock.monotonic() - started)
    } finally {
      await connection.close()
    }
    return 'done'
  },
}

async function push(
  context: Context,
  values: Values,
  connection: Connection,
  given: string | undefined,
): Promise<BackupRecord> {
  const settings = await readSettings(connection)
  requireArchiving(settings, connection)
  const dataDirectory = given ?? settings.dataDirectory
  await proveOwnership(connection, dataDirectory)
  const control = await readControlFile(dataDirectory)
  const layout = layoutOf(values.cluster, control.systemIdentifier)
  const [storage, codec, remembered] = await Promise.all([
    openStorage(values.archive),
    openCodec(),
    openRememberedArchives({ configured: values['state-dir'], ...context }),
  ])
  const calls = { signal: context.signal, onProgress: context.progressed }
  const level = levelOf(values, codec)
  await claimCluster(
    {
      storage,
      layout,
      postgresMajor: Math.floor(settings.versionNumber / 10_000),
      walSegmentSize: settings.walSegmentSize,
      remembered,
      createArchive: values['create-archive'],
      dataDirectory,
      uid: context.uid,
      log: context.log,
    },
    calls,
  )
  return pushBackup({
    ...context,
    connection,
    settings,
    dataDirectory,
    storage,
    layout,
    codec,
    level,
    fastCheckpoint: values['fast-checkpoint'],
    walTimeout: values['wal-timeout'],
  })
}

function notRunning(dataDirectory: string): SeawallError {
  return new SeawallError('postgres', {
    operation: 'back up',
    object: dataDirectory,
    reason: 'no server runs on it: it has no postmaster.pid',
    hint: 'Start the server. A base backup is taken from a running one.',
  })
}

/** Said at once, and not after hours of copying and waiting for WAL that never comes. */
function requireArchiving({ archiveMode, archives }: ServerSettings, connection: Connection): void {
  if (archiveMode !== 'off' && archives) return
  throw new SeawallError('postgres', {
    operation: 'back up',
    object: connection.name,
    reason: archiveMode === 'off' ? 'archive_mode is off' : 'archive_mode is on, but archive_command is empty',
    hint: 'A base backup cannot be restored without its WAL: let archive_command call wal-push, and set archive_mode = on (which needs a restart).',
  })
}

function report(context: Context, values: Values, record: BackupRecord, elapsed: number): void {
  const storedSize = [...record.parts, record.files, record.manifest].reduce((sum, file) => sum + file.size, 0)
  if (values.json) {
    context.print(
      `${JSON.stringify({
        id: record.id,
        systemIdentifier: record.systemIdentifier,
        timeline: record.timeline,
        startLsn: formatLsn(record.startLsn),
        stopLsn: formatLsn(record.stopLsn),
        startedAt: record.startedAt.toISOString(),
        stoppedAt: record.stoppedAt.toISOString(),
        files: record.fileCount,
        bytes: record.totalSize,
        storedBytes: storedSize,
        seconds: Math.round(elapsed) / 1000,
      })}\n`,
    )
    return
  }
  context.print(
    [
      `base backup ${record.id} is complete`,
      `  ${record.fileCount} files, ${formatBytes(record.totalSize)}; ${formatBytes(storedSize)} in the archive`,
      `  WAL ${formatLsn(record.startLsn)} to ${formatLsn(record.stopLsn)} on timeline ${record.timeline}, archived`,
      `  took ${formatSeconds(elapsed / 1000)}; ended at ${record.stoppedAt.toISOString()}`,
      '',
    ].join('\n'),
  )
}
