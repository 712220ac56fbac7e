/** The README repeats what the code says; here it is held to it. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { OPTIONS } from '../src/commands/options.ts'
import { EXIT_CODES } from '../src/core/exit-codes.ts'

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), 'utf8')
const readme = read('README.md')

describe('the README', () => {
  test('has the exit codes of the one table', () => {
    for (const { exit, meaning } of Object.values(EXIT_CODES)) expect(readme).toContain(`| ${exit} | ${meaning} |`)
  })

  test('names every option, and no other', () => {
    const tables = readme.slice(readme.indexOf('## The executables'), readme.indexOf('### Exit codes'))
    const named = new Set([...tables.matchAll(/--([a-z][a-z-]*)/g)].map((match) => match[1]!))
    expect([...named].sort()).toEqual([...Object.keys(OPTIONS), 'config', 'help', 'version'].sort())
  })

  test('gives a reason for every direct dependency', () => {
    const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>
    const { dependencies, optionalDependencies, devDependencies } = manifest
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...devDependencies })) {
      expect(readme).toContain(name.startsWith('@types/') ? '`@types/*`' : `\`${name}\``)
    }
  })

  test.each(['examples/postgresql.conf', 'examples/crontab'])('has the lines of %s', (path) => {
    const lines = read(path)
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    expect(lines.length).toBeGreaterThan(0)
    for (const line of lines) expect(readme).toContain(line)
  })
})
