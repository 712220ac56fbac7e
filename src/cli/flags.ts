/** The command line, split into flags and positionals by yargs' parser, strictly: no abbreviations, nothing twice. */
import { Parser } from 'yargs/helpers'
import type { Command } from '../commands/command.ts'
import { OPTIONS, type OptionName } from '../commands/options.ts'
import { SeawallError } from '../core/errors.ts'
import { didYouMean } from './closest.ts'

export interface Flags {
  /** Raw values by option: text, a boolean for a switch, a list of texts for an option that may be repeated. */
  readonly values: ReadonlyMap<OptionName, unknown>
  readonly config: string | undefined
  readonly help: boolean
  readonly version: boolean
  readonly positionals: readonly string[]
}

const own = { config: 'text', help: 'switch', version: 'switch' } as const

/** @throws SeawallError `usage` for an unknown flag, a flag given twice, a flag without its value, a wrong positional. */
export function parseFlags(argv: readonly string[], command: Command<OptionName>): Flags {
  const kinds = new Map<string, string>(Object.entries(own))
  for (const name of command.options) kinds.set(name, OPTIONS[name].kind)
  const named = (...wanted: string[]) => [...kinds].filter(([, kind]) => wanted.includes(kind)).map(([name]) => name)
  const switches = named('switch')

  const parsed = Parser([...withPlainSwitches(argv, switches, command.name)], {
    string: named('text', 'choice', 'duration', 'count'),
    array: named('texts'),
    boolean: switches,
    configuration: {
      'camel-case-expansion': false,
      'dot-notation': false,
      'flatten-duplicate-arrays': true,
      'greedy-arrays': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'short-option-groups': false,
    },
  })

  const values = new Map<OptionName, unknown>()
  for (const [name, value] of Object.entries(parsed)) {
    if (name === '_') continue
    const kind = kinds.get(name)
    if (kind === undefined || (kind !== 'switch' && typeof value === 'boolean')) {
      throw unknownFlag(name, value, kinds, command.name)
    }
    if (kind !== 'texts' && Array.isArray(value)) throw givenTwice(name)
    if (value === '' || (Array.isArray(value) && value.length === 0)) throw withoutValue(name)
    if (!(name in own)) values.set(name as OptionName, value)
  }
  const flags = {
    values,
    config: parsed.config as string | undefined,
    help: parsed.help === true,
    version: parsed.version === true,
    positionals: parsed._.map(String),
  }
  if (!flags.help && !flags.version) checkPositionals(flags.positionals, command)
  return flags
}

/**
 * yargs' parser reads `--json=maybe` as false and lets `--json --no-json` pass, so switches are checked before it sees
 * them.
 */
function* withPlainSwitches(argv: readonly string[], switches: readonly string[], executable: string) {
  const seen = new Set<string>()
  let ended = false
  for (const argument of argv) {
    ended ||= argument === '--'
    const match = ended ? null : /^--(no-)?([^=]+)(=.*)?$/s.exec(argument)
    if (match && switches.includes(match[2]!)) {
      const name = match[2]!
      if (match[3] !== undefined) {
        throw new SeawallError('usage', {
          operation: 'use the flag',
          object: `--${match[1] ?? ''}${name}`,
          reason: 'it takes no value',
          hint: `Write --${name} or --no-${name}. See ${executable} --help.`,
        })
      }
      if (seen.has(name)) throw givenTwice(name)
      seen.add(name)
    }
    yield argument
  }
}

function checkPositionals(positionals: readonly string[], command: Command<OptionName>): void {
  const required = command.positionals.filter(({ optional }) => !optional).length
  const extra = positionals[command.positionals.length]
  if (positionals.length >= required && extra === undefined) return
  const wanted = positionalNames(command) || 'no argument'
  throw new SeawallError('usage', {
    operation: 'start',
    object: command.name,
    reason:
      extra === undefined
        ? `expected ${wanted}, got ${positionals.length} argument${positionals.length === 1 ? '' : 's'}`
        : `expected ${wanted}, got one argument too many: ${JSON.stringify(extra)}`,
    hint: `See ${command.name} --help.`,
  })
}

/** `[ID] DIR` */
export function positionalNames(command: Command<OptionName>): string {
  return command.positionals.map(({ name, optional }) => (optional ? `[${name}]` : name)).join(' ')
}

function unknownFlag(name: string, value: unknown, kinds: Map<string, string>, executable: string): SeawallError {
  const written = value === false ? `--no-${name}` : name.length === 1 ? `-${name}` : `--${name}`
  const known = value === false && kinds.has(name) ? 'this option can not be negated' : 'there is no such flag'
  return new SeawallError('usage', {
    operation: 'use the flag',
    object: written,
    reason: known,
    hint: `${didYouMean(name, kinds.keys(), '--')}See ${executable} --help.`,
  })
}

function givenTwice(name: string): SeawallError {
  return new SeawallError('usage', {
    operation: 'use the flag',
    object: `--${name}`,
    reason: 'it is given more than once',
    hint: 'Give it once.',
  })
}

function withoutValue(name: string): SeawallError {
  return new SeawallError('usage', {
    operation: 'use the flag',
    object: `--${name}`,
    reason: 'its value is missing',
    hint: `Write --${name}=VALUE.`,
  })
}
