/** The built executables, through their launchers: whole, on the pinned runtime and on an older one without its zstd. */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
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

const inShell = (argv: readonly string[], script: string) =>
  spawnSync('sh', ['-c', script, 'sh', ...argv], { cwd: '/', env: { PATH: '/usr/bin:/bin' }, encoding: 'utf8' })

test('a runtime that cannot even start is not taken for a result of the job', () => {
  // So few descriptors that Node fails by itself, with its own code 1.
  const { status, stderr } = inShell([join(checkout, 'bin/wal-push'), '--version'], 'ulimit -n 21; exec "$@"')
  expect([status, stderr]).toEqual([75, expect.stringContaining('check ulimit -n')])
})

test.each(['NODE_V8_COVERAGE', 'NODE_COMPILE_CACHE', 'NODE_OPTIONS', 'NODE_PATH'])(
  '%s of the server is no matter',
  (name) => {
    const env = { PATH: '/usr/bin:/bin', [name]: '/proc/x' }
    const { status } = spawnSync(join(checkout, 'bin/wal-push'), ['--version'], { cwd: '/', env, timeout: 20_000 })
    expect(status).toBe(0)
  },
)

test('a standard output that is full is an error, and no defect', () => {
  const { status, stderr } = inShell([join(checkout, 'bin/wal-push'), '--help'], 'exec "$@" >/dev/full')
  expect([status, stderr]).toEqual([12, expect.stringContaining('could not print the result to standard output')])
})

test('whatever the mask, what is archived can be read by who archived it', () => {
  const data = temporaryDirectory()
  const name = '000000010000000000000003'
  const page = { systemIdentifier: 7438153460291231234n, address: 0x3000000n, timeline: 1 }
  writeFileSync(join(data, name), walSegment(page))
  mkdirSync(join(data, 'archive'))
  const options = ['--archive', `file://${join(data, 'archive')}`, '--system-id', '7438153460291231234']
  const argv = [join(checkout, 'bin/wal-push'), ...options, '--state-dir', join(data, 'state'), join(data, name)]
  expect(inShell(argv, 'umask 0777; exec "$@"').status).toBe(0)
  for (const path of readdirSync(join(data, 'archive'), { recursive: true, encoding: 'utf8' })) {
    expect(statSync(join(data, 'archive', path)).mode & 0o600).toBe(0o600)
  }
})

test('a log that nobody reads does not keep an executable from ending', () => {
  const data = temporaryDirectory()
  // A pipe that is full, non-blocking, and held open by a process that does not read it.
  const script = `
    const { execFileSync, spawnSync } = require('node:child_process')
    execFileSync('mkfifo', ['${join(data, 'pipe')}'])
    const fs = require('node:fs')
    const fd = fs.openSync('${join(data, 'pipe')}', fs.constants.O_RDWR | fs.constants.O_NONBLOCK)
    try { for (;;) fs.writeSync(fd, Buffer.alloc(65536)) } catch {}
    const { status } = spawnSync('${join(checkout, 'bin/wal-push')}', ['nothing'], { stdio: ['ignore', 'ignore', fd], timeout: 30000 })
    process.stdout.write(String(status))`
  expect(spawnSync(pinned, ['-e', script], { encoding: 'utf8' }).stdout).toBe('2')
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
