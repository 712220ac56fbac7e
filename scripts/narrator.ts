/** What the demo says, and how: steps, the commands it runs with what they print, statements with their rows. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Cluster } from '../test/support/cluster.ts'
import { start } from '../test/support/processes.ts'

const color = process.stdout.isTTY && !process.env.NO_COLOR
const bold = (text: string) => (color ? `\x1b[1m${text}\x1b[0m` : text)
const dim = (text: string) => (color ? `\x1b[2m${text}\x1b[0m` : text)

let steps = 0

export function say(text = ''): void {
  process.stdout.write(`${text}\n`)
}

/** Begins the next step: a headline, and what it is about. */
export function step(title: string, ...lines: readonly string[]): void {
  steps++
  say(`\n${bold(`${steps}. ${title}`)}`)
  for (const line of lines) say(`   ${line}`)
}

/** Shows a command as one would type it. */
export function showCommand(text: string): void {
  say(`   ${bold(`$ ${text}`)}`)
}

/** Shows what a file contains, or what a program printed. */
export function quote(text: string): void {
  for (const line of text.trimEnd().split('\n')) say(`   ${dim('|')} ${line}`)
}

/**
 * Runs one of the launchers as the user of the servers, and shows it with all that it prints.
 * @throws if it does not exit with 0.
 */
export async function command(
  binDirectory: string,
  argv: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value} `)
  showCommand(variables.join('') + argv.map(quoteForShell).join(' '))
  const child = start([join(binDirectory, argv[0]), ...argv.slice(1)], { env })
  for (const stream of [child.stdout!, child.stderr!]) createInterface(stream).on('line', quote)
  const ending = await new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
  if (ending !== 'exit code 0') throw new Error(`${argv[0]} ended with ${ending}`)
}

/** Runs a statement and shows it with its rows, as psql would. @returns the first row. */
export async function sql(cluster: Cluster, statement: string): Promise<Record<string, unknown>> {
  say(`   ${bold(`=# ${statement.replaceAll('\n', '\n   -# ')}`)}`)
  const rows = await cluster.query(statement)
  const names = Object.keys(rows[0] ?? {})
  if (names.length > 0) {
    const table = [names, ...rows.map((row) => names.map((name) => String(row[name])))]
    const widths = names.map((_, column) => Math.max(...table.map((line) => line[column]!.length)))
    const lines = table.map((line) => line.map((text, column) => text.padEnd(widths[column]!)).join(' | '))
    quote([lines[0], widths.map((width) => '-'.repeat(width)).join('-+-'), ...lines.slice(1)].join('\n'))
  }
  return rows[0] ?? {}
}

/** Shows the files below a directory with their sizes. */
export function showFiles(directory: string): void {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => ({ name, stats: statSync(join(directory, name)) }))
    .filter(({ stats }) => stats.isFile())
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  quote(files.map(({ name, stats }) => `${sizeText(stats.size).padStart(9)}  ${name}`).join('\n'))
}

function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  const kibibytes = bytes / 1024
  return kibibytes < 1024 ? `${kibibytes.toFixed(1)} KiB` : `${(kibibytes / 1024).toFixed(1)} MiB`
}

function quoteForShell(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
