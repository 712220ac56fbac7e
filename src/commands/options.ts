/**
 * Every option of every executable, once. Each is also an environment variable (`SEAWALL_` + the name in capitals with
 * `_` for `-`) and a key of the same name in the YAML file, which all executables share.
 */
import type { Codec, Level } from '../codec/codec.ts'
import { SeawallError } from '../core/errors.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** The values as a command gets them, parsed. `undefined` only where no default exists. */
export interface OptionValues {
  archive: string | undefined
  cluster: string
  'system-id': string | undefined
  pgdata: string | undefined
  'log-level': LogLevel
  'log-format': 'text' | 'json'
  'state-dir': string | undefined
  'create-archive': boolean
  compression: 'zstd' | 'none'
  'compression-level': number
  /** Milliseconds without progress. */
  timeout: number
  'on-error': 'auto' | 'stop' | 'poll'
  json: boolean
  dsn: string | undefined
  /** Milliseconds. */
  'wal-timeout': number
  'fast-checkpoint': boolean
  'target-time': string | undefined
  'target-lsn': string | undefined
  'target-xid': string | undefined
  'target-name': string | undefined
  target: 'immediate' | undefined
  'target-action': 'pause' | 'promote' | 'shutdown'
  'target-timeline': string | undefined
  standby: boolean
  'keep-archiving': boolean
  tablespace: string[]
  /** Milliseconds. */
  window: number
  'keep-base': number
  'dry-run': boolean
  'forget-system-id': string | undefined
}

export type OptionName = keyof OptionValues

export type OptionKind =
  | { readonly kind: 'text'; readonly placeholder: string }
  | { readonly kind: 'texts'; readonly placeholder: string }
  | { readonly kind: 'switch' }
  | { readonly kind: 'choice'; readonly choices: readonly string[] }
  | { readonly kind: 'duration'; readonly minimum?: number }
  | { readonly kind: 'count'; readonly minimum: number; readonly maximum: number }

export type OptionSpec<Value> = OptionKind & {
  readonly describe: string
  /** Only accepted as a flag: what would be dangerous to leave in a file or an environment. */
  readonly flagOnly?: true
  /** What holds when nobody says otherwise; durations in milliseconds. */
  readonly default: Value
}

const second = 1000
const day = 86_400 * second

export const OPTIONS: { readonly [Name in OptionName]: OptionSpec<OptionValues[Name]> } = {
  archive: {
    kind: 'text',
    placeholder: 'URL',
    describe: 'Where the archive is: file:///absolute/path of a directory that exists',
    default: undefined,
  },
  cluster: {
    kind: 'text',
    placeholder: 'NAME',
    describe: 'Name of the cluster in the archive: letters, digits, ".", "_" and "-"',
    default: 'main',
  },
  'system-id': {
    kind: 'text',
    placeholder: 'ID',
    describe: 'System identifier, where no data directory tells it and the cluster name holds more than one',
    default: undefined,
  },
  pgdata: {
    kind: 'text',
    placeholder: 'DIR',
    describe: "PostgreSQL's data directory",
    default: undefined,
  },
  'log-level': {
    kind: 'choice',
    choices: ['debug', 'info', 'warn', 'error'],
    describe: 'Least severity that is logged to standard error',
    default: 'info',
  },
  'log-format': {
    kind: 'choice',
    choices: ['text', 'json'],
    describe: 'Log lines for people or for machines',
    default: 'text',
  },
  'state-dir': {
    kind: 'text',
    placeholder: 'DIR',
    describe:
      'Local directory that remembers which archives were used (default: /var/lib/seawall, else ~/.local/state/seawall)',
    default: undefined,
  },
  'create-archive': {
    kind: 'switch',
    describe: 'Start an empty archive where a used one is remembered, instead of failing',
    flagOnly: true,
    default: false,
  },
  compression: {
    kind: 'choice',
    choices: ['zstd', 'none'],
    describe: '"none" stores uncompressed blocks in a zstd file of the same name',
    default: 'zstd',
  },
  'compression-level': {
    kind: 'count',
    minimum: 1,
    maximum: 19,
    describe: 'zstd level',
    default: 1,
  },
  timeout: {
    kind: 'duration',
    minimum: 1,
    describe: 'Give up after this long without any progress',
    default: 30 * second,
  },
  'on-error': {
    kind: 'choice',
    choices: ['auto', 'stop', 'poll'],
    describe:
      'What an error tells PostgreSQL: "stop" ends the server (255), "poll" makes it ask again (75), "auto" decides by standby.signal',
    default: 'auto',
  },
  json: {
    kind: 'switch',
    describe: 'Print the result as JSON',
    default: false,
  },
  dsn: {
    kind: 'text',
    placeholder: 'DSN',
    describe: 'Connection string, postgresql://…; otherwise the PG* variables, otherwise what postmaster.pid says',
    default: undefined,
  },
  'wal-timeout': {
    kind: 'duration',
    minimum: 1,
    describe: 'How long to wait, after the backup, for its WAL to be archived, while the archiver comes no closer',
    default: 300 * second,
  },
  'fast-checkpoint': {
    kind: 'switch',
    describe: 'Begin with an immediate checkpoint instead of a spread one',
    default: false,
  },
  'target-time': {
    kind: 'text',
    placeholder: 'TIME',
    describe: 'Recover up to this moment, with a time zone: "2026-11-22 03:15:00+00"',
    default: undefined,
  },
  'target-lsn': { kind: 'text', placeholder: 'LSN', describe: 'Recover up to this WAL position', default: undefined },
  'target-xid': { kind: 'text', placeholder: 'XID', describe: 'Recover up to this transaction', default: undefined },
  'target-name': {
    kind: 'text',
    placeholder: 'NAME',
    describe: 'Recover up to this restore point (pg_create_restore_point)',
    default: undefined,
  },
  target: {
    kind: 'choice',
    choices: ['immediate'],
    describe: '"immediate": recover only until the backup is consistent',
    default: undefined,
  },
  'target-action': {
    kind: 'choice',
    choices: ['pause', 'promote', 'shutdown'],
    describe: 'What the server does when it has reached the target',
    default: 'promote',
  },
  'target-timeline': {
    kind: 'text',
    placeholder: 'ID',
    describe: 'Timeline to recover along: a number, or "latest"',
    default: undefined,
  },
  standby: {
    kind: 'switch',
    describe: 'Restore a standby that keeps following the archive',
    default: false,
  },
  'keep-archiving': {
    kind: 'switch',
    describe: 'Leave archive_mode as it was (default: the copy gets archive_mode = off)',
    default: false,
  },
  tablespace: {
    kind: 'texts',
    placeholder: 'OLD=NEW',
    describe: 'Restore the tablespace that was at OLD to the directory NEW (repeatable)',
    default: [],
  },
  window: {
    kind: 'duration',
    describe: 'The recovery window: every moment of it stays restorable',
    default: 7 * day,
  },
  'keep-base': {
    kind: 'count',
    minimum: 1,
    maximum: 1_000_000,
    describe: 'Keep at least this many base backups',
    default: 1,
  },
  'dry-run': { kind: 'switch', describe: 'Print the plan and remove nothing', default: false },
  'forget-system-id': {
    kind: 'text',
    placeholder: 'ID',
    describe: 'Remove everything archived under this system identifier, its last backup too',
    flagOnly: true,
    default: undefined,
  },
}

/** What every executable takes. */
export const COMMON_OPTIONS = [
  'archive',
  'cluster',
  'log-level',
  'log-format',
  'timeout',
] as const satisfies OptionName[]

/** What every executable takes that writes for a server. */
export const WRITER_OPTIONS = [
  ...COMMON_OPTIONS,
  'compression',
  'compression-level',
  'create-archive',
  'state-dir',
  'pgdata',
] as const satisfies OptionName[]

/** What selects how objects are compressed. */
export type CompressionOptions = Pick<OptionValues, 'compression' | 'compression-level'>

/** The codec level that the options ask for. @throws SeawallError `usage` if this runtime's codec does not have it */
export function levelOf(options: CompressionOptions, codec: Codec): Level {
  if (options.compression === 'none') return 'none'
  const level = options['compression-level']
  if (level <= codec.maxLevel) return level
  throw new SeawallError('usage', {
    operation: 'use --compression-level',
    object: String(level),
    reason: `the ${codec.name} zstd of this runtime goes up to ${codec.maxLevel}`,
    hint: 'Choose a lower level, or install the pinned runtime (npm without --omit=optional).',
  })
}
