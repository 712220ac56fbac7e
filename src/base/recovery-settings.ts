/** What makes a restored directory recover to its target: lines of postgresql.auto.conf, and a signal file. */
import { formatLsn } from '../core/lsn.ts'
import type { RecoveryTarget } from './target.ts'

export interface RecoverySettings {
  readonly target: RecoveryTarget
  readonly targetAction: 'pause' | 'promote' | 'shutdown'
  /** A number, `current` or `latest`. */
  readonly targetTimeline: string
  readonly standby: boolean
  readonly keepArchiving: boolean
  readonly restoreCommand: string
}

export interface RestoreCommand {
  /** Absolute path of `wal-fetch`. */
  readonly program: string
  readonly archiveUrl: string
  readonly cluster: string
  /** Absolute; undefined if none was named. */
  readonly configFile: string | undefined
}

/** What a server was told about recovery earlier; two different targets would keep it from starting. */
const replaced =
  /^(recovery_target(_\w+)?|recovery_min_apply_delay|restore_command|recovery_end_command|archive_cleanup_command|primary_conninfo|primary_slot_name)$/

/** The ways to give a target. A server that finds two of them set does not start. */
const targetSettings = [
  'recovery_target',
  'recovery_target_lsn',
  'recovery_target_name',
  'recovery_target_time',
  'recovery_target_xid',
]

/** The empty file that makes the server recover. */
export function signalFile({ standby }: Pick<RecoverySettings, 'standby'>): string {
  return standby ? 'standby.signal' : 'recovery.signal'
}

/** The command as a shell reads it, with `%f` and `%p`, which PostgreSQL replaces. */
export function formatRestoreCommand({ program, archiveUrl, cluster, configFile }: RestoreCommand): string {
  const words = [program, '--archive', archiveUrl, '--cluster', cluster]
  if (configFile !== undefined) words.push('--config', configFile)
  return `${words.map(quoteForCommand).join(' ')} "%f" "%p"`
}

/**
 * The text of postgresql.auto.conf with our settings in place of those that came along.
 * @param text the file as it was, each character one byte.
 */
export function rewriteAutoConf(text: string, settings: RecoverySettings): string {
  const { standby, keepArchiving } = settings
  const lines = text.split('\n').filter((line) => {
    const name = /^\s*([A-Za-z_][A-Za-z0-9_]*)/.exec(line)?.[1]?.toLowerCase()
    if (name === undefined) return true
    return !replaced.test(name) && !(name === 'archive_mode' && !standby && !keepArchiving)
  })
  while (lines.at(-1) === '') lines.pop()
  const ours = settingsOf(settings).map(([name, value]) => `${name} = ${quoteForConf(value)}`)
  return `${[...lines, '# Written by base-fetch.', ...ours].join('\n')}\n`
}

function settingsOf(settings: RecoverySettings): [string, string][] {
  const { target, targetAction, targetTimeline, standby, keepArchiving, restoreCommand } = settings
  const chosen = targetSetting(target)
  return [
    // Left over in postgresql.conf, one of these would be a second target. They come first: the server applies the lines
    // in order, and refuses an empty target that follows another.
    ...targetSettings.filter((name) => name !== chosen?.[0]).map((name): [string, string] => [name, '']),
    ...(chosen ? [chosen] : []),
    ['recovery_target_inclusive', 'on'],
    ['recovery_target_timeline', targetTimeline],
    ['recovery_target_action', targetAction],
    ['restore_command', restoreCommand],
    ...(standby
      ? []
      : ([
          ['archive_cleanup_command', ''],
          ['recovery_end_command', ''],
          // It would hold back commits also where nobody follows a primary.
          ['recovery_min_apply_delay', '0'],
        ] as [string, string][])),
    ...(standby || keepArchiving ? [] : ([['archive_mode', 'off']] as [string, string][])),
  ]
}

function targetSetting(target: RecoveryTarget): [string, string] | undefined {
  switch (target.kind) {
    case 'end':
      return undefined
    case 'immediate':
      return ['recovery_target', 'immediate']
    case 'time':
      return ['recovery_target_time', target.time.text]
    case 'lsn':
      return ['recovery_target_lsn', formatLsn(target.lsn)]
    case 'xid':
      return ['recovery_target_xid', target.xid]
    case 'name':
      return ['recovery_target_name', Buffer.from(target.name, 'utf8').toString('latin1')]
  }
}

/** For the shell that PostgreSQL starts, after PostgreSQL has replaced `%f`, `%p` and `%%`. Each character one byte. */
function quoteForCommand(word: string): string {
  const bytes = Buffer.from(word, 'utf8').toString('latin1').replaceAll('%', '%%')
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(bytes) ? bytes : `'${bytes.replaceAll("'", "'\\''")}'`
}

/** For a configuration file (backend/utils/misc/guc-file.l). */
function quoteForConf(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n')}'`
}
