import { describe, expect, test } from 'vitest'
import { parseFlags } from '../../src/cli/flags.ts'
import type { Command } from '../../src/commands/command.ts'
import type { OptionName } from '../../src/commands/options.ts'
import { probe } from '../support/commands/probe.ts'
import { failureOf } from './failure.ts'

const command = probe as unknown as Command<OptionName>
const parse = (...argv: string[]) => parseFlags(argv, command)
const values = (...argv: string[]) => Object.fromEntries(parse(...argv, 'done').values)

describe('flags', () => {
  test.each<[string[], Record<string, unknown>]>([
    [[], {}],
    [['--archive', 'file:///a'], { archive: 'file:///a' }],
    [['--archive=file:///a=b'], { archive: 'file:///a=b' }],
    [['--archive', '0012'], { archive: '0012' }],
    [['--archive', '1e3'], { archive: '1e3' }],
    [['--dsn', 'host=x port=5'], { dsn: 'host=x port=5' }],
    [['--dsn', '"quoted"'], { dsn: '"quoted"' }],
    [['--dsn', ' '], { dsn: ' ' }],
    [['--json'], { json: true }],
    [['--no-json'], { json: false }],
    [['--tablespace', 'a=b'], { tablespace: ['a=b'] }],
    [['--tablespace=a=b', '--tablespace', 'c=d'], { tablespace: ['a=b', 'c=d'] }],
  ])('%j', (argv, expected) => {
    expect(values(...argv)).toEqual(expected)
  })

  test('what stands between, before and after flags are the arguments, as they were written', () => {
    expect(parse('00000002', '--json', '0x10').positionals).toEqual(['00000002', '0x10'])
    expect(parse('--tablespace', 'a=b', 'x').positionals).toEqual(['x'])
    expect(parse('--', '--json', '-x').positionals).toEqual(['--json', '-x'])
    expect(parse('-').positionals).toEqual(['-'])
  })

  test.each<[string[], string, string]>([
    [['--nonsense', 'done'], 'could not use the flag --nonsense: there is no such flag', 'See probe --help.'],
    [['--windw', '3d', 'done'], 'could not use the flag --windw: there is no such flag', 'Did you mean --window? '],
    [['--arch', 'x', 'done'], 'could not use the flag --arch: there is no such flag', ''],
    [['--pgdata', 'x', 'done'], 'could not use the flag --pgdata: there is no such flag', ''],
    [['-a', 'done'], 'could not use the flag -a: there is no such flag', ''],
    [['-ab', 'done'], 'could not use the flag --ab: there is no such flag', ''],
    [['--no-nonsense', 'done'], 'could not use the flag --no-nonsense: there is no such flag', ''],
    [['--no-archive', 'done'], 'could not use the flag --no-archive: this option can not be negated', ''],
    [['--constructor', 'done'], 'could not use the flag --constructor: there is no such flag', ''],
    [['--__proto__', 'x', 'done'], 'could not use the flag --___proto___: there is no such flag', ''],
    [['--archive.x', 'y', 'done'], 'could not use the flag --archive.x: there is no such flag', ''],
    [['--archive', 'a', '--archive', 'b', 'done'], 'could not use the flag --archive: it is given more than once', ''],
    [['--json', '--json', 'done'], 'could not use the flag --json: it is given more than once', ''],
    [['--json', '--no-json', 'done'], 'could not use the flag --json: it is given more than once', ''],
    [['--json=true', 'done'], 'could not use the flag --json: it takes no value', '--json or --no-json'],
    [['done', '--archive'], 'could not use the flag --archive: its value is missing', '--archive=VALUE'],
    [['--archive=', 'done'], 'could not use the flag --archive: its value is missing', ''],
    [['--archive', '--json', 'done'], 'could not use the flag --archive: its value is missing', ''],
    [['done', '--tablespace'], 'could not use the flag --tablespace: its value is missing', ''],
    [['done', '--config'], 'could not use the flag --config: its value is missing', ''],
    [[], 'could not start probe: expected [HINT] ACT, got 0 arguments', 'See probe --help.'],
    [['a', 'b', 'c'], 'could not start probe: expected [HINT] ACT, got one argument too many: "c"', ''],
  ])('%j is refused', (argv, message, hint) => {
    const failure = failureOf(() => parse(...argv))
    expect([failure.code, failure.message]).toEqual(['usage', message])
    expect(failure.hint).toContain(hint)
  })

  test('--help and --version do without arguments', () => {
    expect(parse('--help')).toMatchObject({ help: true, version: false })
    expect(parse('--version')).toMatchObject({ help: false, version: true })
  })
})
