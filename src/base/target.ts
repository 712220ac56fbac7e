/** Where recovery shall end, as a user says it. */
import { SeawallError } from '../core/errors.ts'
import { formatLsn, type Lsn, parseLsn } from '../core/lsn.ts'

export type RecoveryTarget =
  /** As far as archived WAL goes. */
  | { readonly kind: 'end' }
  | { readonly kind: 'immediate' }
  | { readonly kind: 'time'; readonly time: TargetTime }
  | { readonly kind: 'lsn'; readonly lsn: Lsn }
  | { readonly kind: 'xid'; readonly xid: string }
  | { readonly kind: 'name'; readonly name: string }

export interface TargetTime {
  /** To the millisecond, rounded down. */
  readonly date: Date
  /** To the microsecond, in UTC, in the one form that all versions of PostgreSQL take. */
  readonly text: string
}

export type TargetTimeline = number | 'latest'

export interface TargetOptions {
  readonly 'target-time': string | undefined
  readonly 'target-lsn': string | undefined
  readonly 'target-xid': string | undefined
  readonly 'target-name': string | undefined
  readonly target: 'immediate' | undefined
}

/** @throws SeawallError `usage` for more than one target, or a value that is none. */
export function parseTarget(options: TargetOptions): RecoveryTarget {
  const names = ['target-time', 'target-lsn', 'target-xid', 'target-name', 'target'] as const
  const given = names.filter((name) => options[name] !== undefined)
  if (given.length > 1) {
    throw usage(`--${given[1]}`, `--${given[0]} is given too`, 'Recovery has one target: give one of them.')
  }
  const time = options['target-time']
  if (time !== undefined) return { kind: 'time', time: targetTime(time) }
  const lsn = options['target-lsn']
  if (lsn !== undefined) return { kind: 'lsn', lsn: targetLsn(lsn) }
  const xid = options['target-xid']
  if (xid !== undefined) return { kind: 'xid', xid: targetXid(xid) }
  const name = options['target-name']
  if (name !== undefined) return { kind: 'name', name: targetName(name) }
  return { kind: options.target ?? 'end' }
}

/** @throws SeawallError `usage` */
export function parseTargetTimeline(text: string | undefined): TargetTimeline | undefined {
  if (text === undefined || text === 'latest') return text
  const number = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : 0
  if (number > 0 && number <= 0xffff_ffff) return number
  throw usage(`--target-timeline ${text}`, 'it is no timeline', 'Give a decimal number, or "latest".')
}

/** What a target is, in a sentence. */
export function describeTarget(target: RecoveryTarget): string {
  switch (target.kind) {
    case 'end':
      return 'the end of archived WAL'
    case 'immediate':
      return 'the end of the backup'
    case 'time':
      return `time ${target.time.text}`
    case 'lsn':
      return `LSN ${formatLsn(target.lsn)}`
    case 'xid':
      return `transaction ${target.xid}`
    case 'name':
      return `restore point "${target.name}"`
  }
}

/**
 * A date and a time with a time zone: without one, the same text would mean another moment on another machine.
 * Undefined for anything else, and for a day or an hour that does not exist.
 */
export function parseTargetTime(text: string): TargetTime | undefined {
  const match =
    /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)? ?(Z|UTC|[+-]\d\d(?::?\d\d)?)$/.exec(text)
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((digits) => Number(digits ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const local = Date.UTC(year, month - 1, day, hour, minute, second)
  const written = `${match[1]}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6] ?? '00'}.000Z`
  if (Number.isNaN(local) || new Date(local).toISOString() !== written) return undefined
  const offset = offsetOf(match[8]!)
  if (offset === undefined) return undefined
  const microseconds = (match[7] ?? '').padEnd(6, '0')
  const seconds = new Date(local - offset * 60_000)
  const date = new Date(seconds.getTime() + Number(microseconds.slice(0, 3)))
  return { date, text: `${seconds.toISOString().slice(0, 19).replace('T', ' ')}.${microseconds}+00` }
}

/** Minutes east of UTC. */
function offsetOf(zone: string): number | undefined {
  if (zone === 'Z' || zone === 'UTC') return 0
  const [, sign, hours, minutes] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone)!
  if (Number(hours) > 15 || Number(minutes ?? 0) > 59) return undefined
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes ?? 0))
}

function targetTime(text: string): TargetTime {
  const time = parseTargetTime(text)
  if (time) return time
  throw usage(
    `--target-time "${text}"`,
    whatIsWrongWith(text),
    'Write it like "2026-11-22 03:15:00+00" or 2026-11-22T04:15:00.5+01:00.',
  )
}

function whatIsWrongWith(text: string): string {
  if (parseTargetTime(`${text}+00`))
    return 'it has no time zone, without which it means another moment on another machine'
  const withoutName = text.replace(/ ?[A-Za-z][A-Za-z_/]*$/, '')
  if (withoutName !== text && parseTargetTime(`${withoutName}+00`)) {
    return 'names of time zones are not understood, only offsets from UTC'
  }
  const isWellFormed = /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d/.test(text) && /(Z|UTC|[+-]\d\d(:?\d\d)?)$/.test(text)
  return isWellFormed ? 'there is no such moment or offset' : 'it is no date and time with a time zone'
}

function targetLsn(text: string): Lsn {
  const lsn = parseLsn(text)
  if (lsn !== undefined && lsn > 0n) return lsn
  throw usage(`--target-lsn "${text}"`, 'it is no WAL position', 'Write it like 16/B374D848.')
}

/** PostgreSQL would read leading zeroes as octal. */
function targetXid(text: string): string {
  if (/^[1-9]\d{0,19}$/.test(text)) return text
  throw usage(
    `--target-xid "${text}"`,
    'it is no transaction id',
    'Give the decimal number, as pg_current_xact_id() does.',
  )
}

/** MAXFNAMELEN, within which pg_create_restore_point() stays. */
function targetName(text: string): string {
  if (text !== '' && Buffer.byteLength(text) < 64 && [...text].every((character) => character >= ' ')) {
    return text
  }
  throw usage(
    `--target-name "${text}"`,
    'it is no name of a restore point',
    'Give the name as it was given to pg_create_restore_point(), at most 63 bytes.',
  )
}

function usage(object: string, reason: string, hint: string): SeawallError {
  return new SeawallError('usage', { operation: 'use', object, reason, hint })
}
