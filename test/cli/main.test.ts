import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { OPTIONS } from '../../src/commands/options.ts'
import { probe } from '../support/commands/probe.ts'
import { temporaryDirectory } from '../support/temporary.ts'

const executable = fileURLToPath(new URL('../support/commands/main.ts', import.meta.url))
const checkout = fileURLToPath(new URL('../../', import.meta.url))

interface Surroundings {
  readonly env?: Record<string, string>
  readonly cwd?: string
}

function run(argv: readonly string[], { env = {}, cwd = '/' }: Surroundings = {}) {
  const options = { cwd, env: { HOME: homedir(), ...env }, encoding: 'utf8', maxBuffer: 100_000_000 } as const
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [executable, ...argv], options)
  return { end: signal ?? decoded(status), stdout, stderr }
}

/** The code that the launcher makes of an error's private one. */
function decoded(status: number | null): number | null {
  return status !== null && status > 20 && status < 96 ? status - 20 : status
}

/** The lines of the log, without time and process. */
function lines(stderr: string): string[] {
  return stderr
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC probe\[\d+\] /, ''))
}

describe('how it ends', () => {
  test.each([
    ['done', 100],
    ['absent', 101],
    ['error-on-standby', 102],
    ['error-and-stop', 103],
    ['no-backup', 10],
  ])('%s: %i', (act, status) => {
    expect(run([act])).toEqual({ end: status, stdout: '', stderr: '' })
  })

  test('an error of ours: its own code, and everything it knows', () => {
    const { end, stderr } = run(['failure'])
    expect(end).toBe(5)
    expect(lines(stderr)).toEqual([
      'ERROR could not read main/1/cluster.json: the disk says no (code=archive-io)',
      'DETAIL at byte 5',
      'CAUSE could not read /x: EIO: i/o error, read',
      'CAUSE EIO: i/o error, read',
      'HINT  Look at the disk.',
    ])
    expect(stderr).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC probe\[\d+\] ERROR could not/)
  })

  test('as JSON, where asked for by flag or, before flags are known, by environment', () => {
    const { stderr } = run(['failure', '--log-format', 'json'])
    expect(JSON.parse(stderr)).toMatchObject({
      level: 'error',
      name: 'probe',
      msg: 'could not read main/1/cluster.json: the disk says no',
      code: 'archive-io',
      detail: 'at byte 5',
      causes: ['could not read /x: EIO: i/o error, read', 'EIO: i/o error, read'],
      hint: 'Look at the disk.',
    })
    const usage = run(['--nonsense'], { env: { SEAWALL_LOG_FORMAT: 'json' } })
    expect([usage.end, JSON.parse(usage.stderr).code]).toEqual([2, 'usage'])
  })

  test('any other error: a defect, with its message always and its stack for debugging', () => {
    const { end, stderr } = run(['defect'])
    expect(end).toBe(70)
    expect(lines(stderr)).toEqual([
      'ERROR could not go on: unexpected error: undefined is not a wal segment (code=internal)',
      'HINT  This is a defect of the program. Please report it, with the output of --log-level debug.',
    ])
    expect(run(['defect', '--log-level', 'debug']).stderr).toContain('STACK     at defect')
  })

  test.each([
    ['a rejection that nobody handles', 'rejection', 'nobody listens'],
    ['a command that waits for nothing', 'never', 'nothing is left to wait for'],
  ])('%s: a defect', (_, act, reason) => {
    const { end, stderr } = run([act])
    expect(end).toBe(70)
    expect(lines(stderr)[0]).toMatch(
      new RegExp(`^ERROR could not go on: unexpected error: .*${reason} \\(code=internal\\)$`),
    )
  })

  test('a wrong option ends before the command begins', () => {
    const { end, stdout, stderr } = run(['options', '--window', 'soon'])
    expect([end, stdout]).toEqual([2, ''])
    expect(lines(stderr)).toHaveLength(2)
  })

  test('a reader of standard output who goes away: a quiet failure', async () => {
    const child = spawn(process.execPath, [executable, 'flood'], { env: {}, stdio: ['ignore', 'pipe', 'pipe'] })
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    child.stdout.once('data', () => child.stdout.destroy())
    const status = await new Promise<number | null>((resolve) => child.on('close', resolve))
    expect([decoded(status), stderr]).toEqual([75, ''])
  })

  test('everything printed arrives', () => {
    const { end, stdout } = run(['flood'])
    expect([end, stdout.length]).toEqual([100, 5_000_000])
  })
})

describe('what a command gets', () => {
  test('its options from every layer, its surroundings', () => {
    const directory = temporaryDirectory()
    mkdirSync(join(directory, 'below'))
    writeFileSync(join(directory, 'seawall.yaml'), 'window: 2d\ncluster: filed\n')
    const env = { SEAWALL_CONFIG: '../seawall.yaml', SEAWALL_CLUSTER: 'environmental', XDG_STATE_HOME: '/state' }
    const cwd = join(directory, 'below')
    const values = JSON.parse(run(['options', '--timeout=90s'], { env, cwd }).stdout)
    expect(values).toMatchObject({ window: 172_800_000, cluster: 'environmental', timeout: 90_000 })
    expect(JSON.parse(run(['context'], { env, cwd }).stdout)).toEqual({
      cwd,
      binDirectory: join(checkout, 'bin'),
      configFile: join(directory, 'seawall.yaml'),
      uid: process.getuid!(),
      home: homedir(),
      stateHome: '/state',
      isTerminal: false,
    })
  })

  test('a logger: severities, facts, no passwords, one line each', () => {
    expect(lines(run(['log']).stderr)).toEqual([
      'INFO  archived (segment=000000010000000000000003 bytes=42 path="a b" lsn=7)',
      'WARN  odd name: a\\nb (dsn=postgresql://me:***@host/db)',
    ])
    expect(lines(run(['log', '--log-level', 'warn']).stderr)).toHaveLength(1)
    expect(lines(run(['log', '--log-level', 'debug']).stderr)).toHaveLength(3)
    const [archived] = run(['log', '--log-format', 'json']).stderr.split('\n')
    expect(JSON.parse(archived!)).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      pid: expect.any(Number),
      name: 'probe',
      msg: 'archived',
      segment: '000000010000000000000003',
      bytes: 42,
      path: 'a b',
      lsn: '7',
    })
  })

  test('on a terminal, a passing state that log lines do not tear', () => {
    const command = `'${process.execPath}' '${executable}' log`
    const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH },
    })
    const shown = stdout.split('\r\x1b[K').map((text) => text.replace(/^.*probe\[\d+\] (\S+).*\r\n$/, '$1'))
    expect(shown).toEqual(['', 'half way', 'INFO', 'half way', 'WARN', 'half way', ''])
  })
})

describe('--help and --version', () => {
  test('--help names arguments, every option with variable and default, exit codes, examples', () => {
    const { end, stdout, stderr } = run(['--help', '--json'])
    expect([end, stderr]).toEqual([100, ''])
    const text = stdout.replaceAll(/\s+/g, ' ')
    expect(text).toContain('probe: does what its argument says Usage: probe [options] [HINT] ACT Arguments:')
    for (const name of probe.options) {
      expect(text).toContain(`${OPTIONS[name].kind === 'switch' ? '--[no-]' : '--'}${name}`)
      expect(text).toContain(`[SEAWALL_${name.toUpperCase().replaceAll('-', '_')}]`)
    }
    expect(text).toContain('--window DURATION The recovery window: every moment of it stays restorable (default: 7d)')
    expect(text).toContain('Exit codes: 0 done Examples: probe done')
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
  })

  test('--version', () => {
    expect(run(['--version'])).toEqual({ end: 100, stdout: 'probe (seawall) 0.1.0\n', stderr: '' })
  })
})

describe('signals and the deadline', () => {
  /** Starts it, and waits until the command says that it is there. */
  async function started(argv: readonly string[]) {
    const child = spawn(process.execPath, [executable, ...argv], { env: {}, stdio: ['ignore', 'ignore', 'pipe'] })
    let stderr = ''
    const ended = new Promise<{ end: unknown; stderr: string }>((resolve) =>
      child.on('close', (code, signal) => resolve({ end: signal ?? decoded(code), stderr })),
    )
    await new Promise<void>((resolve, reject) => {
      child.stderr.on('data', (chunk) => {
        stderr += chunk
        if (stderr.includes('ready')) resolve()
      })
      ended.then(() => reject(new Error(stderr)))
    })
    return { child, ended }
  }

  test('SIGTERM: the command cleans up, and the process dies of it', async () => {
    const { child, ended } = await started(['wait-politely'])
    child.kill('SIGTERM')
    const { end, stderr } = await ended
    expect(end).toBe('SIGTERM')
    expect(lines(stderr)).toEqual([
      'INFO  ready',
      'INFO  cleaned up',
      'ERROR could not finish probe: interrupted by SIGTERM (code=interrupted)',
      'HINT  Nothing is half done; it is safe to run it again.',
    ])
  })

  test('SIGINT: the command cleans up; what fails then is said too', async () => {
    const { child, ended } = await started(['wait-clumsily'])
    child.kill('SIGINT')
    const { end, stderr } = await ended
    expect(end).toBe(75)
    expect(lines(stderr).filter((line) => !line.startsWith('HINT'))).toEqual([
      'INFO  ready',
      'ERROR could not finish probe: interrupted by SIGINT (code=interrupted)',
      'WARN  could not go on: unexpected error: cleaning up failed (code=internal)',
    ])
  })

  test('the same signal at once from group and launcher is one; a later one ends it', async () => {
    const { child, ended } = await started(['wait-forever'])
    child.kill('SIGTERM')
    child.kill('SIGTERM')
    const again = setInterval(() => child.kill('SIGTERM'), 1100)
    const before = performance.now()
    const { end } = await ended
    clearInterval(again)
    expect(end).toBe('SIGTERM')
    expect(performance.now() - before).toBeGreaterThan(1000)
  })

  test('SIGQUIT ends it at once', async () => {
    const { child, ended } = await started(['wait-forever'])
    child.kill('SIGQUIT')
    expect((await ended).end).toBe('SIGQUIT')
  })

  test('time without progress', async () => {
    const { ended } = await started(['wait-politely', '--timeout', '300ms'])
    const { end, stderr } = await ended
    expect(end).toBe(74)
    expect(lines(stderr).slice(1)).toEqual([
      'INFO  cleaned up',
      'ERROR could not finish probe: nothing moved for 300ms (code=timeout)',
      expect.stringMatching(/^HINT {2}Check that the file systems .* or raise --timeout\.$/),
    ])
  })

  test('progress restarts it', () => {
    expect(run(['progress-slowly', '--timeout', '700ms'])).toMatchObject({ end: 100, stderr: '' })
  })

  test('a command that does not even end then is killed, and that is said before', async () => {
    const { ended } = await started(['wait-forever', '--timeout', '1ms'])
    const { end, stderr } = await ended
    expect(end).toBe('SIGKILL')
    expect(lines(stderr)[1]).toBe('ERROR could not finish probe: nothing moved for 1ms (code=timeout)')
  })
})
