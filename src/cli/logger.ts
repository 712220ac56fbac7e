/** pino, writing synchronously to standard error: its own lines for machines, or text for people. */
import { type Level, pino } from 'pino'
import type { LogLevel } from '../commands/options.ts'
import { errno, SeawallError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { redact } from '../core/redact.ts'

export interface LoggerOptions {
  readonly name: string
  readonly level: LogLevel
  readonly format: 'text' | 'json'
  readonly write: (lines: string) => void
}

export function createLogger(options: LoggerOptions): Log {
  const write = options.format === 'json' ? options.write : (line: string) => options.write(textOf(JSON.parse(line)))
  const logger = pino(
    {
      level: options.level,
      base: { pid: process.pid, name: options.name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  )
  const at = (level: Level) => (message: string, facts?: Record<string, unknown>) => {
    if (logger.isLevelEnabled(level)) logger[level](printable(facts ?? {}), redact(message))
  }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    failure: (error, level = 'error') => {
      const causes = causesOf(error)
      const stack = logger.isLevelEnabled('debug') ? stackOf(error) : undefined
      at(level)(error.message, {
        code: error.code,
        ...(error.detail === undefined ? {} : { detail: error.detail }),
        hint: error.hint,
        ...(causes.length === 0 ? {} : { causes }),
        ...(stack === undefined ? {} : { stack }),
      })
    },
  }
}

/** Facts as JSON can hold them, without passwords. */
function printable(facts: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, printableValue(value)]))
}

function printableValue(value: unknown): unknown {
  if (typeof value === 'string') return redact(value)
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Error) return redact(value.message)
  if (Array.isArray(value)) return value.map(printableValue)
  return value
}

/** What lies behind an error, outermost first, without what its own message already says. */
function causesOf(error: Error): string[] {
  const causes: string[] = []
  let cause = error.cause
  while (cause instanceof Error && causes.length < 10) {
    const code = cause instanceof SeawallError ? undefined : errno(cause)
    const text = code === undefined || cause.message.includes(code) ? cause.message : `${code}: ${cause.message}`
    if (!error.message.includes(text)) causes.push(text || cause.name)
    if (cause instanceof AggregateError) causes.push(...cause.errors.map((inner) => String(inner?.message ?? inner)))
    cause = cause.cause
  }
  if (cause !== undefined && !(cause instanceof Error)) causes.push(String(cause))
  return causes
}

function stackOf(error: Error): string | undefined {
  let innermost = error
  while (innermost.cause instanceof Error) innermost = innermost.cause
  return innermost.stack
}

interface Line {
  readonly level: string
  readonly time: string
  readonly pid: number
  readonly name: string
  readonly msg: string
  readonly [fact: string]: unknown
}

/** `2026-11-22 03:15:00.123 UTC wal-push[4711] INFO  message (key=value)`, and a line each for detail, hint and causes. */
function textOf(line: Line): string {
  const { level, time, pid, name, msg, detail, hint, causes, stack, ...facts } = line
  const start = `${time.replace('T', ' ').replace('Z', ' UTC')} ${name}[${pid}]`
  const known = Object.entries(facts).map(([fact, value]) => `${fact}=${factValue(value)}`)
  const lines = [[level.toUpperCase(), known.length === 0 ? msg : `${msg} (${known.join(' ')})`]]
  if (typeof detail === 'string') lines.push(['DETAIL', detail])
  for (const cause of Array.isArray(causes) ? causes : []) lines.push(['CAUSE', String(cause)])
  if (typeof hint === 'string') lines.push(['HINT', hint])
  for (const frame of typeof stack === 'string' ? stack.split('\n') : []) lines.push(['STACK', frame])
  return lines.map(([word, text]) => `${start} ${word!.padEnd(5)} ${onOneLine(text!)}\n`).join('')
}

function factValue(value: unknown): string {
  return typeof value === 'string' && /^[^\s"=()]+$/.test(value) ? value : JSON.stringify(value)
}

/** A file name with a line feed in it must not look like a line of ours. */
function onOneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, (character) => JSON.stringify(character).slice(1, -1))
}
