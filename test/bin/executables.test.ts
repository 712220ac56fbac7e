/** The built executables, through their launchers: whole, on the pinned runtime and on an older one without its zstd. */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/temporary.ts'
import { walSegment } from '../support/wal-file.ts'
import { LAUNCHERS } from './installation.ts'

const checkout = fileURLToPath(new URL('../..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as {
  version: string
  bin: Record<string, string>
}
const pinned = process.execPath
const older = '/usr/bin/node'

/** Major version of a runtime; 0 if it is not there. */
function major(node: string): number {
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' })
  return Number(/^v(\d+)/.exec(stdout ?? '')?.[1] ?? 0)
}

function run(program: string, argv: readonly string[], cwd = '/', path = '/usr/bin:/bin') {
  const { status, stdout, stderr } = spawnSync(program, argv, { cwd, env: { PATH: path }, encoding: 'utf8' })
  return { status, stdout, stderr }
}

describe.each(LAUNCHERS)('%s', (name) => {
  const launcher = join(checkout, 'bin', name)

  test('is installed by npm', () => {
    expect(manifest.bin[name]).toBe(`bin/${name}`)
  })

  test('--version and --help', () => {
    expect(run(launcher, ['--version'])).toEqual({
      status: 0,
      stdout: `${name} (seawall) ${manifest.version}\n`,
      stderr: '',
    })
    const { status, stdout, stderr } = run(launcher, ['--help'])
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toContain(`Usage: ${name} [options]`)
    for (const title of ['Options', 'Exit codes:\n', 'Examples:\n']) expect(stdout).toContain(title)
  })

  test('an unknown flag is refused', () => {
    const { status, stdout, stderr } = run(launcher, ['--no-such-flag'])
    expect([status, stdout]).toEqual([name === 'wal-fetch' ? 255 : 2, ''])
    expect(stderr).toContain('could not use the flag --no-such-flag: there is no such flag')
  })
})

test('wal-fetch answers an error as --on-error says, whatever stands in the data directory', () => {
  const data = temporaryDirectory()
  const fetch = (...options: string[]) =>
    run(join(checkout, 'bin/wal-fetch'), [...options, '000000010000000000000003', 'pg_wal/RECOVERYXLOG'], data)
  mkdirSync(join(data, 'pg_wal'))
  for (const [signal, auto] of [
    ['recovery.signal', 255],
    ['standby.signal', 75],
  ] as const) {
    writeFileSync(join(data, signal), '')
    expect([signal, fetch().status]).toEqual([signal, auto])
    expect([signal, fetch('--on-error', 'poll').status]).toEqual([signal, 75])
    const stopped = fetch('--on-error', 'stop')
    expect([signal, stopped.status]).toEqual([signal, 255])
    expect(stopped.stderr.match(/ERROR/g)).toHaveLength(1)
  }
})

test('--on-error poll holds even where the data directory is wrong', () => {
  const argv = ['--on-error', 'poll', '--pgdata', '/wrong', '000000010000000000000003', 'RECOVERYXLOG']
  expect(run(join(checkout, 'bin/wal-fetch'), argv).status).toBe(75)
})

test('a standby whose disk hangs is answered within seconds, and not after --timeout', () => {
  const data = temporaryDirectory()
  mkdirSync(join(data, 'pg_wal'))
  mkdirSync(join(data, 'global'))
  writeFileSync(join(data, 'standby.signal'), '')
  // Opening it waits for a writer that never comes.
  execFileSync('mkfifo', [join(data, 'global/pg_control')])
  const argv = ['--archive', `file://${data}`, '000000010000000000000003', 'pg_wal/RECOVERYXLOG']
  const begun = performance.now()
  const { status, stderr } = run(join(checkout, 'bin/wal-fetch'), argv, data)
  expect([status, stderr]).toEqual([75, expect.stringContaining('nothing moved for 5s')])
  expect(performance.now() - begun).toBeLessThan(25_000)
})

test.skipIf(process.getuid?.() !== 0)('a user without a home directory needs none to fetch', () => {
  const data = temporaryDirectory()
  chmodSync(data, 0o755)
  const argv = ['--archive', `file://${data}`, '000000010000000000000003', join(data, 'out')]
  const { stderr } = run('setpriv', ['--reuid', '54321', '--clear-groups', join(checkout, 'bin/wal-fetch'), ...argv])
  expect(stderr).toContain('nothing is archived under that name')
})

describe.each([
  ['the pinned runtime', pinned, major(pinned) >= 26],
  ['an older runtime', older, major(older) >= 20 && major(older) < 26],
])('%s', (_, node, isThere) => {
  let top: string
  let path: string

  beforeAll(() => {
    top = temporaryDirectory()
    path = join(top, 'path')
    for (const directory of ['path', 'data/pg_wal', 'archive', 'seawall/node_modules']) {
      mkdirSync(join(top, directory), { recursive: true })
    }
    symlinkSync(node, join(path, 'node'))
    for (const part of ['bin', 'dist', 'package.json']) {
      cpSync(join(checkout, part), join(top, 'seawall', part), { recursive: true })
    }
    // The one package that is not in the bundle, as npm installs it with --omit=optional.
    symlinkSync(join(checkout, 'node_modules/zstd-codec'), join(top, 'seawall/node_modules/zstd-codec'))
  })

  test.skipIf(!isThere)('archives a segment and brings it back', () => {
    const segment = '000000010000000000000003'
    const bytes = walSegment({ systemIdentifier: 7438153460291231234n, address: 0x3000000n, timeline: 1 }, 3_000_000)
    writeFileSync(join(top, 'data/pg_wal', segment), bytes)
    const options = ['--archive', `file://${join(top, 'archive')}`, '--system-id', '7438153460291231234']
    const [push, fetch] = ['wal-push', 'wal-fetch'].map((name) => join(top, 'seawall/bin', name)) as [string, string]
    const pushed = run(
      push,
      [...options, '--state-dir', join(top, 'state'), `pg_wal/${segment}`],
      join(top, 'data'),
      path,
    )
    expect([pushed.status, pushed.stdout]).toEqual([0, ''])
    const stored = readdirSync(join(top, 'archive'), { recursive: true, encoding: 'utf8' }).find((name) =>
      name.endsWith(`${segment}.zst`),
    )
    expect(execFileSync('zstd', ['-dc', join(top, 'archive', stored!)], { maxBuffer: 1 << 26 }).equals(bytes)).toBe(
      true,
    )
    const fetched = run(fetch, [...options, segment, 'pg_wal/RECOVERYXLOG'], join(top, 'data'), path)
    expect([fetched.status, fetched.stdout]).toEqual([0, ''])
    expect(readFileSync(join(top, 'data/pg_wal/RECOVERYXLOG')).equals(bytes)).toBe(true)
  })

  test.skipIf(!isThere)('loads what a base backup needs, and the YAML file', () => {
    writeFileSync(join(top, 'seawall.yaml'), `archive: file://${join(top, 'archive')}\n`)
    const argv = [
      '--config',
      join(top, 'seawall.yaml'),
      '--pgdata',
      join(top, 'data'),
      '--dsn',
      'postgresql://x@127.0.0.1:1/x',
    ]
    const { status, stderr } = run(join(top, 'seawall/bin/base-push'), argv, '/', path)
    expect(status).toBe(3)
    expect(stderr).toContain(`could not use the data directory ${join(top, 'data')}: it has no global/pg_control`)
  })
})

test('the bundle says under which licences its parts are used', () => {
  const licences = readFileSync(join(checkout, 'dist/LICENSES.txt'), 'utf8')
  for (const name of ['pg', 'pino', 'yaml', 'yargs-parser']) expect(licences).toMatch(new RegExp(`^${name} \\d`, 'm'))
})
