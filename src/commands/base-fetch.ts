/** `base-fetch [ID|latest] DIR`: restores a base backup for recovery to a point in time. */
import path from 'node:path'
import { findCluster } from '../archive/find-cluster.ts'
import { type Fetched, fetchBackup } from '../base/fetch.ts'
import { formatSeconds } from '../base/progress.ts'
import { describeTarget, parseTarget, parseTargetTimeline } from '../base/target.ts'
import { openCodec } from '../codec/open.ts'
import { isBackupId } from '../core/archive-layout.ts'
import { formatBytes } from '../core/bytes.ts'
import { SeawallError } from '../core/errors.ts'
import { formatLsn } from '../core/lsn.ts'
import { openStorage } from '../storage/open.ts'
import { readOnly } from '../storage/read-only.ts'
import { type Command, type Context, exitCodesOf } from './command.ts'
import { COMMON_OPTIONS, type OptionValues } from './options.ts'

const options = [
  ...COMMON_OPTIONS,
  'system-id',
  'target-time',
  'target-lsn',
  'target-xid',
  'target-name',
  'target',
  'target-action',
  'target-timeline',
  'standby',
  'keep-archiving',
  'tablespace',
  'json',
] as const

type Values = Pick<OptionValues, (typeof options)[number]>

export const baseFetch: Command<(typeof options)[number]> = {
  name: 'base-fetch',
  summary: 'Restore a base backup, ready for recovery to a point in time',
  positionals: [
    {
      name: 'ID',
      describe: 'A backup, or "latest"; left out, the newest that ended before the target',
      optional: true,
    },
    { name: 'DIR', describe: 'The new data directory: absent or empty' },
  ],
  options,
  exitCodes: [
    { exit: '0', meaning: 'the directory is complete, on disk, and ready to be started' },
    ...exitCodesOf(
      'usage',
      'refused',
      'archive-missing',
      'archive-io',
      'corrupt',
      'newer-format',
      'not-found',
      'local-io',
      'internal',
      'timeout',
      'interrupted',
    ),
  ],
  examples: [
    'base-fetch --archive file:///backup /var/lib/postgresql/18/restored',
    'base-fetch --archive file:///backup --target-time "2026-11-22 03:15:00+00" /srv/restored',
    'base-fetch --archive file:///backup --tablespace /fast/old=/fast/new latest /srv/restored',
  ],

  async run(context, values, positionals) {
    const started = context.clock.monotonic()
    const { backup, directory } = readPositionals(context, positionals)
    const target = parseTarget(values)
    const targetTimeline = parseTargetTimeline(values['target-timeline'])
    const [storage, codec] = await Promise.all([openStorage(values.archive), openCodec()])
    const layout = await findCluster(storage, values.cluster, values['system-id'], {
      signal: context.signal,
      onProgress: context.progressed,
    })
    const fetched = await fetchBackup({
      ...context,
      storage: readOnly(storage),
      codec,
      layout,
      backup,
      directory,
      target,
      targetTimeline,
      targetAction: values['target-action'],
      standby: values.standby,
      keepArchiving: values['keep-archiving'],
      tablespaces: values.tablespace,
      restoreCommand: {
        program: path.join(context.binDirectory, 'wal-fetch'),
        archiveUrl: values.archive!,
        cluster: values.cluster,
        configFile: context.configFile,
      },
    })
    report(context, values, fetched, context.clock.monotonic() - started)
    return 'done'
  },
}

function readPositionals({ cwd }: Context, positionals: readonly string[]) {
  const [first, second] = positionals
  if (second === undefined && (first === 'latest' || isBackupId(first!))) {
    throw new SeawallError('usage', {
      operation: 'restore into',
      object: `"${first}"`,
      reason: 'it names a backup, and no directory was named',
      hint: `Call it as base-fetch ${first} DIR; for a directory of that name write ./${first}.`,
    })
  }
  const backup = second === undefined ? undefined : first
  if (backup !== undefined && backup !== 'latest' && !isBackupId(backup)) {
    throw new SeawallError('usage', {
      operation: 'use',
      object: `"${backup}"`,
      reason: 'it is no id of a backup',
      hint: 'Call it as base-fetch [ID|latest] DIR; an id looks like 20261122T031500Z_000000010000000000000003.',
    })
  }
  return { backup, directory: path.resolve(cwd, second ?? first!) }
}

function report(context: Context, values: Values, fetched: Fetched, elapsed: number): void {
  const { record, directory, tablespaces, timeline, settings } = fetched
  const archives = settings.standby || settings.keepArchiving
  if (values.json) {
    context.print(
      `${JSON.stringify({
        id: record.id,
        directory,
        tablespaces: Object.fromEntries(tablespaces.map((tablespace) => [tablespace.oid, tablespace.directory])),
        timeline,
        recoveryTargetTimeline: settings.targetTimeline,
        startLsn: formatLsn(record.startLsn),
        stopLsn: formatLsn(record.stopLsn),
        stoppedAt: record.stoppedAt.toISOString(),
        restoreCommand: toText(settings.restoreCommand),
        archiving: archives,
        files: record.fileCount,
        bytes: record.totalSize,
        seconds: Math.round(elapsed) / 1000,
      })}\n`,
    )
    return
  }
  context.print(`${describe(context, fetched, elapsed, archives).join('\n')}\n`)
}

function describe(context: Context, fetched: Fetched, elapsed: number, archives: boolean): string[] {
  const { record, directory, tablespaces, timeline, settings } = fetched
  const major = Math.floor(record.postgresVersionNumber / 10_000)
  const lines = [
    `restored backup ${record.id} to ${directory}`,
    `  ${record.fileCount} files, ${formatBytes(record.totalSize)}, each one verified, in ${formatSeconds(elapsed / 1000)}`,
    ...tablespaces.map(({ location, directory: to }) =>
      location === to ? `  tablespace ${to}` : `  tablespace ${location} is now ${to}`,
    ),
    settings.standby
      ? `it starts as a standby that follows the archive along timeline ${timeline} and later ones`
      : `it recovers along timeline ${timeline} to ${describeTarget(settings.target)}, then: ${actionOf(fetched)}`,
    `restore_command = ${toText(settings.restoreCommand)}`,
    `start it with PostgreSQL ${major}, on another port while the original runs:`,
    `  ${startCommand(directory, record.outsideFiles)}`,
  ]
  if (tablespaces.some(({ location, directory: to }) => location !== to)) {
    lines.push('pg_verifybackup will report tablespace_map, which names the new places of the tablespaces')
  }
  if (record.outsideFiles.length > 0) {
    lines.push(
      `the server kept configuration outside of its data directory, which no backup holds: ${record.outsideFiles.join(', ')}`,
    )
  }
  if (context.uid === 0) {
    lines.push(`everything belongs to root now: chown -R it to the server's user before you start it`)
  }
  lines.push(
    archives
      ? 'archive_mode is as it was: make sure that nothing else archives into the same place'
      : 'archive_mode = off: this copy does not archive into the place of the original; when the copy takes over, ALTER SYSTEM RESET archive_mode, restart it, and run base-push at once, because WAL that was finished meanwhile may be gone',
  )
  return lines
}

/** On Debian postgresql.conf lies elsewhere, and names the original's data directory. */
function startCommand(directory: string, outsideFiles: readonly string[]): string {
  const config = outsideFiles.find((file) => file.endsWith('.conf') && !/(hba|ident)\.conf$/.test(file))
  const settings = config === undefined ? [] : [`-c config_file=${quote(config)} -c data_directory=${quote(directory)}`]
  const options = [...settings, '-p 5433'].join(' ')
  return `pg_ctl -D ${quote(directory)} -l restored.log -o ${quote(options)} start`
}

function toText(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8')
}

/** For a shell. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/** What the server does when it has reached the target, or the end. */
function actionOf({ settings }: Fetched): string {
  return settings.target.kind === 'end' ? 'promote' : settings.targetAction
}
