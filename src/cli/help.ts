/** The text of `--help`. */
import type { Command } from '../commands/command.ts'
import { OPTIONS, type OptionName, type OptionSpec } from '../commands/options.ts'
import { formatDuration } from '../core/duration.ts'
import { positionalNames } from './flags.ts'
import { environmentName } from './settings.ts'

const width = 100

/** Everything that `--help` prints; ends in a newline. */
export function helpText(command: Command<OptionName>): string {
  const options = command.options.map((name) => optionEntry(name))
  const ownOptions: Entry[] = [
    [
      '--config FILE',
      'YAML file with a key for each option (default: /etc/seawall/seawall.yaml if it exists) [SEAWALL_CONFIG]',
    ],
    ['--help', 'Print this and exit'],
    ['--version', 'Print the version and exit'],
  ]
  const sections = [
    `${command.name}: ${command.summary}\n`,
    `Usage: ${[command.name, '[options]', positionalNames(command)].filter(Boolean).join(' ')}\n`,
    section(
      'Arguments',
      command.positionals.map(({ name, describe }): Entry => [name, describe]),
    ),
    section('Options (flag over environment variable over YAML file)', [...options, ...ownOptions]),
    section(
      'Exit codes',
      command.exitCodes.map(({ exit, meaning }): Entry => [exit, meaning]),
    ),
    command.examples.length === 0 ? '' : `Examples:\n${command.examples.map((example) => `  ${example}\n`).join('')}`,
  ]
  return sections.filter((text) => text !== '').join('\n')
}

type Entry = readonly [term: string, meaning: string]

function optionEntry(name: OptionName): Entry {
  const spec: OptionSpec<unknown> = OPTIONS[name]
  const preset = formatDefault(spec)
  return [
    spec.kind === 'switch' ? `--${spec.flagOnly ? '' : '[no-]'}${name}` : `--${name} ${placeholder(spec)}`,
    `${spec.describe}${preset === undefined ? '' : ` (default: ${preset})`} [${spec.flagOnly ? 'only as a flag' : environmentName(name)}]`,
  ]
}

function placeholder(spec: OptionSpec<unknown>): string {
  if (spec.kind === 'text' || spec.kind === 'texts') return spec.placeholder
  if (spec.kind === 'choice') return spec.choices.join('|')
  if (spec.kind === 'count' && spec.maximum < 1000) return `${spec.minimum}..${spec.maximum}`
  return spec.kind === 'duration' ? 'DURATION' : 'N'
}

function formatDefault(spec: OptionSpec<unknown>): string | undefined {
  const value = spec.default
  if (value === undefined || value === false || (Array.isArray(value) && value.length === 0)) return undefined
  return spec.kind === 'duration' ? formatDuration(value as number) : String(value)
}

function section(title: string, entries: readonly Entry[]): string {
  if (entries.length === 0) return ''
  const indent = Math.min(28, Math.max(...entries.map(([term]) => term.length)) + 4)
  return `${title}:\n${entries.map((entry) => paragraph(entry, indent)).join('')}`
}

/** The term, and its meaning wrapped beside it; below it if the term is too long. */
function paragraph([term, meaning]: Entry, indent: number): string {
  const lines: string[] = []
  let line = `  ${term}`
  if (line.length > indent - 2) {
    lines.push(line)
    line = ''
  }
  line = line.padEnd(indent)
  for (const word of meaning.split(' ')) {
    if (line.length > indent && line.length + word.length > width) {
      lines.push(line.trimEnd())
      line = ' '.repeat(indent)
    }
    line += `${word} `
  }
  lines.push(line.trimEnd())
  return `${lines.join('\n')}\n`
}
