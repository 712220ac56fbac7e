import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseFlags } from '../../src/cli/flags.ts'
import { environmentName, resolveSettings } from '../../src/cli/settings.ts'
import type { Command } from '../../src/commands/command.ts'
import { OPTIONS, type OptionName } from '../../src/commands/options.ts'
import { probe } from '../support/commands/probe.ts'
import { temporaryDirectory } from '../support/temporary.ts'
import { rejectionOf } from './failure.ts'

const everything: Command<OptionName> = { ...probe, options: Object.keys(OPTIONS) as OptionName[] }

function resolve(argv: string[], env: Record<string, string> = {}, command = everything, cwd = '/') {
  return resolveSettings(command, parseFlags([...argv, 'done'], command), env, cwd)
}

function file(text: string): string {
  const path = join(temporaryDirectory(), 'seawall.yaml')
  writeFileSync(path, text)
  return path
}

describe('layers', () => {
  test('nobody says anything: the defaults', async () => {
    const { options, configFile } = await resolve([])
    for (const [name, spec] of Object.entries(OPTIONS))
      expect([name, options[name as OptionName]]).toEqual([name, spec.default])
    expect(configFile).toBeUndefined()
  })

  test('flag over environment over file over default', async () => {
    const path = file('cluster: filed\nwindow: 1w\ncompression-level: 3\n')
    const env = { SEAWALL_CONFIG: path, SEAWALL_CLUSTER: 'environmental', SEAWALL_WINDOW: '2d' }
    const { options, configFile } = await resolve(['--window', '3d'], env)
    expect(options).toMatchObject({
      window: 3 * 86_400_000,
      cluster: 'environmental',
      'compression-level': 3,
      timeout: 30_000,
    })
    expect(configFile).toBe(path)
  })

  test('--config over SEAWALL_CONFIG, relative to the current directory', async () => {
    const path = file('cluster: named\n')
    const directory = join(path, '..')
    mkdirSync(join(directory, 'below'))
    const resolved = await resolve(
      ['--config', '../seawall.yaml'],
      { SEAWALL_CONFIG: '/none' },
      everything,
      join(directory, 'below'),
    )
    expect(resolved.options.cluster).toBe('named')
    expect(resolved.configFile).toBe(path)
  })

  test('a command gets its own options only', async () => {
    const { options } = await resolve([], { SEAWALL_CONFIG: file('pgdata: /x\nkeep-base: 4\n') }, probe as never)
    expect(Object.keys(options).sort()).toEqual([...probe.options].sort())
  })

  test('every scalar of the file is taken as written', async () => {
    const path = file(
      'cluster: 0123\nsystem-id: 18446744073709551615\nstandby: yes\njson: true\ntarget-time: 2026-11-22 03:15:00+00\n' +
        'dsn: "it\'s # odd"\npgdata: null\ntablespace:\n  - /a=/b\n  - 1=2\n',
    )
    expect((await resolve(['--config', path])).options).toMatchObject({
      cluster: '0123',
      'system-id': '18446744073709551615',
      standby: true,
      json: true,
      'target-time': '2026-11-22 03:15:00+00',
      dsn: "it's # odd",
      pgdata: 'null',
      tablespace: ['/a=/b', '1=2'],
    })
  })

  test.each(['', '# nothing\n', '---\n'])('an empty file says nothing: %j', async (text) => {
    expect((await resolve(['--config', file(text)])).options.cluster).toBe('main')
  })

  test.each([
    ['true', true],
    ['1', true],
    ['yes', true],
    ['false', false],
    ['0', false],
    ['no', false],
  ])('a switch in the environment: %s', async (text, value) => {
    expect((await resolve([], { SEAWALL_JSON: text })).options.json).toBe(value)
  })
})

describe('a wrong value is the same error everywhere', () => {
  const wrong: [name: OptionName, value: string, why: string][] = [
    ['window', '7', 'expected a whole number with a unit: ms, s, m, h, d or w, such as 30s or 7d, got "7"'],
    [
      'timeout',
      '0s',
      'expected a whole number with a unit: ms, s, m, h, d or w, such as 30s or 7d; at least 1ms, got "0s"',
    ],
    ['compression-level', '20', 'expected a whole number from 1 to 19, got "20"'],
    ['compression-level', '1.5', 'expected a whole number from 1 to 19, got "1.5"'],
    ['compression-level', '-1', 'expected a whole number from 1 to 19, got "-1"'],
    ['keep-base', '0x10', 'expected a whole number from 1 to 1000000, got "0x10"'],
    ['log-level', 'INFO', 'expected one of debug, info, warn, error, got "INFO"'],
    ['target', 'latest', 'expected immediate, got "latest"'],
  ]
  test.each(wrong)('%s: %s', async (name, value, why) => {
    const path = file(`${name}: "${value}"\n`)
    const variable = environmentName(name)
    for (const [source, attempt] of [
      [`flag --${name}`, () => resolve([`--${name}=${value}`])],
      [`environment variable ${variable}`, () => resolve([], { [variable]: value })],
      [`${path}: ${name}`, () => resolve(['--config', path])],
    ] as const) {
      const failure = await rejectionOf(attempt())
      expect([failure.code, failure.message]).toEqual(['usage', `could not use the value of ${source}: ${why}`])
      expect(failure.hint).not.toBe('')
    }
  })

  test('a switch', async () => {
    const inEnvironment = await rejectionOf(resolve([], { SEAWALL_JSON: 'maybe' }))
    expect(inEnvironment.message).toBe(
      'could not use the value of environment variable SEAWALL_JSON: expected true or false, got "maybe"',
    )
  })

  test('nothing', async () => {
    const inEnvironment = await rejectionOf(resolve([], { SEAWALL_ARCHIVE: '' }))
    expect(inEnvironment.message).toBe(
      'could not use the value of environment variable SEAWALL_ARCHIVE: expected URL, got nothing',
    )
    const inFile = await rejectionOf(resolve(['--config', file('archive:\n')]))
    expect(inFile.message).toMatch(/: archive: expected URL, got nothing$/)
  })

  test('a list or a map where one value belongs', async () => {
    const list = await rejectionOf(resolve(['--config', file('archive: [a, b]\n')]))
    expect(list.message).toMatch(/: archive: expected URL, got \["a","b"\]$/)
    const map = await rejectionOf(resolve(['--config', file('tablespace: { old: new }\n')]))
    expect(map.message).toMatch(/: tablespace: expected one or more of OLD=NEW, got \{"old":"new"\}$/)
  })

  test('of an option that the command does not take: in the file an error, in the environment ignored', async () => {
    const failure = await rejectionOf(resolve(['--config', file('keep-base: many\n')], {}, probe as never))
    expect(failure.message).toMatch(/: keep-base: expected a whole number from 1 to 1000000, got "many"$/)
    await resolve([], { SEAWALL_KEEP_BASE: 'many' }, probe as never)
  })

  test('a password in it is not shown', async () => {
    const failure = await rejectionOf(
      resolve(['--config', file('dsn:\n  - postgresql://me:hunter2@host/db\n  - host=x password=hunter2\n')]),
    )
    expect(JSON.stringify([failure.message, failure.hint, failure.detail])).not.toContain('hunter2')
    expect(failure.message).toContain('postgresql://me:***@host/db')
  })
})

describe('a wrong file', () => {
  test.each([
    [
      'windw: 7d\n',
      /^could not use the key "windw" in .*seawall\.yaml: there is no such option$/,
      'Did you mean window?',
    ],
    ['toString: 7d\n', /^could not use the key "toString" in .*: there is no such option$/, ''],
    ['7d\n', /^could not use the configuration file .*: it holds no "key: value" lines$/, 'examples/seawall.yaml'],
    ['- window\n', /it holds no "key: value" lines$/, ''],
    ['window: 7d\nwindow: 8d\n', /it is not valid YAML: Map keys must be unique at line 2, column 1$/, ''],
    ['a: b: c\n', /it is not valid YAML: .* at line 1, column 4$/, ''],
    ['"unclosed\n', /it is not valid YAML: /, ''],
    ['cluster: *none\n', /it is not valid YAML: /, ''],
  ])('%j', async (text, message, hint) => {
    const failure = await rejectionOf(resolve(['--config', file(text)]))
    expect(failure.code).toBe('usage')
    expect(failure.message).toMatch(message)
    expect(failure.hint).toContain(hint)
  })

  test('that somebody named is not there, or is a directory', async () => {
    const missing = await rejectionOf(resolve(['--config', '/none/seawall.yaml']))
    expect([missing.code, missing.message]).toEqual([
      'local-io',
      expect.stringMatching(/^could not read the configuration file \/none\/seawall\.yaml: ENOENT/),
    ])
    const directory = await rejectionOf(resolve([], { SEAWALL_CONFIG: '/' }))
    expect(directory.message).toMatch(/^could not read the configuration file \/: EISDIR/)
  })
})

test('a variable that is a slip away from one of ours is pointed out, others are not', async () => {
  const env = { SEAWALL_ARCHVE: 'x', SEAWALL_SERVICE_HOST: '10.0.0.1', SEAWALL_CLUSTER: 'ok', ARCHIVE: 'x' }
  expect((await resolve([], env)).warnings).toEqual([
    'environment variable SEAWALL_ARCHVE is no option; was SEAWALL_ARCHIVE meant?',
  ])
})
