/** Where each option's value comes from: flag over environment over YAML file over default. */
import { resolve } from 'node:path'
import type { Command } from '../commands/command.ts'
import { OPTIONS, type OptionName, type OptionValues } from '../commands/options.ts'
import { SeawallError } from '../core/errors.ts'
import { closest } from './closest.ts'
import type { Flags } from './flags.ts'
import { parseOptionValue } from './option-value.ts'
import { readSettingsFile } from './settings-file.ts'

/** Read where nobody named a file, and only if it exists. */
const DEFAULT_FILE = '/etc/seawall/seawall.yaml'

export type Environment = Readonly<Record<string, string | undefined>>

export interface Settings<Names extends OptionName> {
  readonly options: Pick<OptionValues, Names>
  /** The configuration file, absolute, if flag or environment named one. */
  readonly configFile: string | undefined
  /** What looks like a slip of the hand, yet is no error. */
  readonly warnings: readonly string[]
}

/** `SEAWALL_TARGET_TIME` for `target-time`. */
export function environmentName(option: string): string {
  return `SEAWALL_${option.toUpperCase().replaceAll('-', '_')}`
}

/**
 * @param cwd what a relative path of a configuration file is relative to.
 * @throws SeawallError `usage` for any value that is wrong, and any key of the file that is not known.
 */
export async function resolveSettings<Names extends OptionName>(
  command: Command<Names>,
  flags: Flags,
  environment: Environment,
  cwd: string,
): Promise<Settings<Names>> {
  const named = flags.config ?? environment[environmentName('config')]
  const configFile = named === undefined ? undefined : resolve(cwd, named)
  const path = configFile ?? DEFAULT_FILE
  const file = parseAll(await readSettingsFile(path, configFile !== undefined), path)

  const options: Partial<OptionValues> = {}
  const set = <Name extends OptionName>(name: Name, value: OptionValues[Name]) => {
    options[name] = value
  }
  for (const name of command.options) {
    const variable = environmentName(name)
    if (flags.values.has(name)) {
      set(name, parseOptionValue(name, flags.values.get(name), `flag --${name}`))
    } else if (environment[variable] !== undefined && OPTIONS[name].flagOnly) {
      throw onlyAsFlag(name, `environment variable ${variable}`)
    } else if (environment[variable] !== undefined) {
      set(name, parseOptionValue(name, environment[variable], `environment variable ${variable}`))
    } else if (file.has(name)) {
      set(name, file.get(name) as OptionValues[Names])
    } else {
      set(name, OPTIONS[name].default)
    }
  }
  return { options: options as Pick<OptionValues, Names>, configFile, warnings: misspelt(environment) }
}

/** The whole file is checked, also what this executable does not use: a file is right or wrong, whoever reads it. */
function parseAll(raw: ReadonlyMap<OptionName, unknown> | undefined, path: string): Map<OptionName, unknown> {
  const values = new Map<OptionName, unknown>()
  for (const [name, value] of raw ?? []) {
    if (OPTIONS[name].flagOnly) throw onlyAsFlag(name, `${path}: ${name}`)
    values.set(name, parseOptionValue(name, value, `${path}: ${name}`))
  }
  return values
}

/** What was meant for one call, left in a file or an environment, would hold for all that follow. */
function onlyAsFlag(name: OptionName, origin: string): SeawallError {
  return new SeawallError('usage', {
    operation: 'use',
    object: origin,
    reason: `--${name} is only accepted as a flag`,
    hint: 'Remove it there, and give the flag to the one call that needs it.',
  })
}

/**
 * Variables that are one slip away from an option's. Others are none of our business: container platforms invent
 * variables such as SEAWALL_SERVICE_HOST.
 */
function misspelt(environment: Environment): string[] {
  const known = [...Object.keys(OPTIONS), 'config'].map(environmentName)
  return Object.keys(environment)
    .filter((name) => name.startsWith('SEAWALL_') && !known.includes(name))
    .flatMap((name) => {
      const meant = closest(
        name.slice('SEAWALL_'.length),
        known.map((variable) => variable.slice('SEAWALL_'.length)),
      )
      return meant === undefined ? [] : [`environment variable ${name} is no option; was SEAWALL_${meant} meant?`]
    })
}
