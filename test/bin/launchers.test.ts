import { spawnSync } from 'node:child_process'
import { appendFileSync, chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/temporary.ts'
import {
  type Ended,
  installAt,
  JOBS,
  LAUNCHERS,
  type Launcher,
  namedRuntime,
  pathWithNode,
  pathWithSmallNode,
  start,
} from './installation.ts'

/** How each shell is asked to run a launcher. */
const shells: Record<string, readonly string[]> = {
  'the system sh': [],
  dash: ['/bin/dash'],
  'bash --posix': ['/bin/bash', '--posix'],
  'busybox sh': ['/bin/busybox', 'sh'],
}
const isThere = (argv: readonly string[]) => argv.length === 0 || spawnSync(argv[0]!, ['true']).error === undefined

let top: string
let path: string
let smallPath: string
/** Data directories by what PostgreSQL does in them. */
const pgdata = { recovery: '', standby: '', promoting: '' }

beforeAll(() => {
  top = temporaryDirectory()
  path = pathWithNode(join(top, 'path'))
  smallPath = pathWithSmallNode(join(top, 'small path'))
  installAt(join(top, 'installed'))
  for (const [name, files] of Object.entries({
    recovery: ['recovery.signal'],
    standby: ['recovery.signal', 'standby.signal'],
    promoting: ['recovery.signal', 'promote'],
  })) {
    pgdata[name as keyof typeof pgdata] = join(top, name)
    mkdirSync(join(top, name))
    for (const file of files) writeFileSync(join(top, name, file), '')
  }
})

let copies = 0

/** An installation of its own, to be broken. */
function damaged(damage: (directory: string) => void): string {
  const directory = join(top, `damaged ${++copies}`)
  installAt(directory)
  damage(directory)
  return directory
}

/** `exit 75` or `death by SIGTERM`. */
function how({ code, signal }: Ended): string {
  return signal === null ? `exit ${code}` : `death by ${signal}`
}

/** What an end without a result must look like. */
function failed(launcher: Launcher, cwd: string): string {
  return launcher === 'wal-fetch' && cwd === pgdata.recovery ? 'exit 255' : 'exit 75'
}

describe.each(Object.entries(shells))('in %s', (shell, prefix) => {
  const run = (launcher: Launcher, act: string, cwd = pgdata.recovery, directory = join(top, 'installed')) =>
    start([...prefix, join(directory, 'bin', launcher), act], cwd, act === 'runs out of memory' ? smallPath : path)
      .ended

  test.skipIf(!isThere(prefix))(`wal-push ends in 0 or 1..125 (${shell})`, async () => {
    const expected: Record<string, string> = {
      100: 'exit 0',
      21: 'exit 1',
      30: 'exit 10',
      90: 'exit 70',
      95: 'exit 75',
      // Node's own, which say nothing about the job.
      0: 'exit 75',
      1: 'exit 75',
      9: 'exit 75',
      13: 'exit 75',
      20: 'exit 75',
      99: 'exit 75',
      101: 'exit 75',
      102: 'exit 75',
      103: 'exit 75',
      126: 'exit 75',
      127: 'exit 75',
      128: 'exit 75',
      200: 'exit 75',
      255: 'exit 75',
      'never settles': 'exit 75',
      throws: 'exit 75',
      rejects: 'exit 75',
      'runs out of memory': 'exit 75',
      SIGKILL: 'exit 75',
      SIGTERM: 'exit 75',
      SIGSEGV: 'exit 75',
    }
    for (const [act, end] of Object.entries(expected)) {
      const ended = await run('wal-push', act)
      expect([act, how(ended)]).toEqual([act, end])
      if (end === 'exit 75' && act !== '95') expect(ended.stderr).toMatch(/^wal-push: .*\n$/m)
    }
  })

  test.skipIf(!isThere(prefix))(`wal-fetch says "absent" only when told to (${shell})`, async () => {
    const always: Record<string, string> = {
      100: 'exit 0',
      101: 'exit 1',
      102: 'exit 75',
      103: 'exit 255',
      SIGTERM: 'death by SIGTERM',
    }
    const failures = [
      '0',
      '1',
      '5',
      '21',
      '75',
      '95',
      '126',
      '127',
      '200',
      '255',
      'never settles',
      'throws',
      'rejects',
      'SIGKILL',
    ]
    for (const cwd of Object.values(pgdata)) {
      for (const [act, end] of Object.entries(always)) {
        expect([cwd, act, how(await run('wal-fetch', act, cwd))]).toEqual([cwd, act, end])
      }
      for (const act of [...failures, ...(cwd === pgdata.recovery ? ['runs out of memory', 'SIGSEGV'] : [])]) {
        expect([cwd, act, how(await run('wal-fetch', act, cwd))]).toEqual([cwd, act, failed('wal-fetch', cwd)])
      }
    }
  })

  const damages: Record<string, (directory: string) => void> = {
    'dist/ is missing': (directory) => rmSync(join(directory, 'dist'), { recursive: true }),
    'launch.sh is missing': (directory) => rmSync(join(directory, 'bin/launch.sh')),
    'launch.sh is empty': (directory) => writeFileSync(join(directory, 'bin/launch.sh'), ''),
    'launch.sh is cut': (directory) => writeFileSync(join(directory, 'bin/launch.sh'), 'launch() {\n  if true; then'),
    'launch.sh has a syntax error': (directory) => appendFileSync(join(directory, 'bin/launch.sh'), '\ncase (( fi\n'),
    'a special built-in fails': (directory) => appendFileSync(join(directory, 'bin/launch.sh'), '\n. /none/such\n'),
    'a readonly variable is set': (directory) =>
      appendFileSync(join(directory, 'bin/launch.sh'), '\nreadonly child=1\nchild=2\n'),
    'launch.sh exits 0': (directory) => appendFileSync(join(directory, 'bin/launch.sh'), '\nexit 0\n'),
    'launch.sh exits 1': (directory) => appendFileSync(join(directory, 'bin/launch.sh'), '\nexit 1\n'),
    'end_job and end_fetch return': (directory) =>
      appendFileSync(join(directory, 'bin/launch.sh'), '\nend_job() { :; }\nend_fetch() { :; }\n'),
    'the executable has a syntax error': (directory) => {
      for (const launcher of LAUNCHERS) writeFileSync(join(directory, 'dist', `${launcher}.js`), 'const = 1')
    },
  }
  test.skipIf(!isThere(prefix)).each(Object.entries(damages))(`%s: a failure (${shell})`, async (_, damage) => {
    const directory = damaged(damage)
    for (const launcher of LAUNCHERS) {
      for (const cwd of launcher === 'wal-fetch' ? Object.values(pgdata) : [pgdata.recovery]) {
        const ended = await run(launcher, '100', cwd, directory)
        expect(how(ended), `${launcher} in ${cwd}: ${ended.stderr}`).toBe(failed(launcher, cwd))
      }
    }
  })

  test.skipIf(!isThere(prefix))(`no runtime: a failure (${shell})`, async () => {
    for (const launcher of LAUNCHERS) {
      const ended = await start([...prefix, join(top, 'installed/bin', launcher), '100'], pgdata.recovery, '/none')
        .ended
      expect([launcher, how(ended)]).toEqual([launcher, failed(launcher, pgdata.recovery)])
      expect(ended.stderr).toContain('no Node runtime')
    }
  })

  test.skipIf(!isThere(prefix))(`a runtime that can not be executed: a failure (${shell})`, async () => {
    const broken = join(top, `broken ${++copies}`)
    mkdirSync(broken)
    writeFileSync(join(broken, 'node'), '\x7fELF no program')
    chmodSync(join(broken, 'node'), 0o755)
    for (const launcher of LAUNCHERS) {
      const ended = await start([...prefix, join(top, 'installed/bin', launcher), '100'], pgdata.recovery, broken).ended
      expect([launcher, how(ended)]).toEqual([launcher, failed(launcher, pgdata.recovery)])
    }
  })

  test.skipIf(!isThere(prefix))(`no readlink, but links to follow: a failure (${shell})`, async () => {
    const links = join(top, `links ${++copies}`)
    mkdirSync(links)
    for (const launcher of LAUNCHERS) {
      symlinkSync(join(top, 'installed/bin', launcher), join(links, launcher))
      const ended = await start([...prefix, join(links, launcher), '100'], pgdata.recovery, path).ended
      expect([launcher, how(ended)]).toEqual([launcher, failed(launcher, pgdata.recovery)])
    }
  })

  test.skipIf(!isThere(prefix))(`standard error is closed, or nobody reads it (${shell})`, async () => {
    const script = [...prefix, join(top, 'installed/bin/wal-push')].map((word) => `'${word}'`).join(' ')
    const closed = start(['/bin/sh', '-c', `${script} 0 2>&-`], pgdata.recovery, path)
    expect(how(await closed.ended)).toBe('exit 75')
    const unread = start(
      ['/bin/bash', '-c', `exec 3>&1; { ${script} 0 2>&1 >/dev/null; echo $? >&3; } | true`],
      pgdata.recovery,
      `${path}:/bin:/usr/bin`,
    )
    expect((await unread.ended).stdout).toBe('75\n')
  })

  test.skipIf(!isThere(prefix))(`arguments arrive as they are (${shell})`, async () => {
    const argv = ['prints its arguments', '', ' a  b ', `'"$HOME\`*\\`, '-n', '--x=y\nz', '']
    const ended = await start([...prefix, join(top, 'installed/bin/wal-push'), ...argv], pgdata.recovery, path).ended
    expect(JSON.parse(ended.stdout)).toEqual(argv)
  })

  const signals: Record<string, { job: string; fetch: string }> = {
    SIGTERM: { job: 'exit 75', fetch: 'death by SIGTERM' },
    SIGINT: { job: 'exit 75', fetch: 'exit 255' },
    SIGHUP: { job: 'exit 75', fetch: 'exit 255' },
    SIGQUIT: { job: 'exit 75', fetch: 'exit 255' },
  }
  for (const [signal, end] of Object.entries(signals)) {
    test.skipIf(!isThere(prefix))(`${signal} reaches the child, and the end is right (${shell})`, async () => {
      for (const launcher of ['wal-push', 'wal-fetch'] as const) {
        for (const act of ['waits politely', 'dies of TERM']) {
          for (const group of [false, true]) {
            const { child, ended, said } = start(
              [...prefix, join(top, 'installed/bin', launcher), act],
              pgdata.recovery,
              path,
            )
            await said('ready')
            process.kill(group ? -child.pid! : child.pid!, signal)
            expect([launcher, act, group, how(await ended)]).toEqual([
              launcher,
              act,
              group,
              launcher === 'wal-fetch' ? end.fetch : end.job,
            ])
          }
        }
      }
    })
  }

  test.skipIf(!isThere(prefix))(
    `the launcher waits on for a child that goes on after a signal (${shell})`,
    async () => {
      const { child, ended, said } = start(
        [...prefix, join(top, 'installed/bin/wal-push'), 'ignores signals'],
        top,
        path,
      )
      await said('ready')
      child.kill('SIGTERM')
      await said('TERM\n')
      child.kill('SIGTERM')
      await said('TERM\nTERM\n')
      child.kill('SIGQUIT')
      expect(how(await ended)).toBe('exit 75')
    },
  )

  test.skipIf(!isThere(prefix))(
    `SIGTERM at a random moment never looks like success, nor hangs (${shell})`,
    async () => {
      // From the time when the launcher follows its first link, which it says, the shell's own start being over.
      const links = join(top, `random ${++copies}`)
      mkdirSync(join(links, 'path'), { recursive: true })
      symlinkSync(process.execPath, join(links, 'path/node'))
      writeFileSync(join(links, 'path/readlink'), '#!/bin/sh\necho resolving >&2\nexec /bin/readlink "$@"\n')
      chmodSync(join(links, 'path/readlink'), 0o755)
      for (const launcher of ['wal-push', 'wal-fetch'] as const) {
        symlinkSync(join(top, 'installed/bin', launcher), join(links, launcher))
        for (const act of ['dies of TERM', 'ends soon']) {
          const right =
            launcher === 'wal-fetch'
              ? ['death by SIGTERM', ...(act === 'ends soon' ? ['exit 0'] : [])]
              : ['exit 75', ...(act === 'ends soon' ? ['exit 0'] : [])]
          // Around the child's start most of all, when a shell's copy of itself could swallow the signal.
          const longest = act === 'dies of TERM' ? 12 : 60
          for (let i = 0; i < 24; i++) {
            const delay = Math.random() * longest
            const { child, ended, said } = start(
              [...prefix, join(links, launcher), act],
              pgdata.recovery,
              join(links, 'path'),
            )
            await said('resolving')
            const timer = setTimeout(() => child.kill('SIGTERM'), delay)
            const end = await ended
            clearTimeout(timer)
            expect(right, `${launcher} ${act}, SIGTERM after ${delay} ms: ${end.stderr}`).toContain(how(end))
          }
        }
      }
    },
  )
})

describe('finding itself and a runtime', () => {
  test('through chains of relative and absolute links, from any directory, with any characters', async () => {
    const odd = join(top, `it's "odd" $HOME \`x\` *`)
    installAt(join(odd, 'seawall'))
    mkdirSync(join(odd, 'a/b'), { recursive: true })
    symlinkSync('../../seawall/bin/wal-push', join(odd, 'a/b/relative'))
    symlinkSync(join(odd, 'a/b/relative'), join(odd, 'a/absolute'))
    symlinkSync('a/absolute', join(odd, '-chain'))
    symlinkSync('seawall/bin', join(odd, 'bin'))
    const real = `${path}:/bin:/usr/bin`
    for (const [argv, cwd] of [
      [[join(odd, '-chain'), '100'], '/'],
      [['./-chain', '100'], odd],
      [['./relative', '100'], join(odd, 'a/b')],
      [['../a/b/relative', '100'], join(odd, 'a')],
      [[join(odd, 'bin/wal-push'), '100'], '/'],
      [['/bin/sh', 'wal-push', '100'], join(odd, 'bin')],
    ] as const) {
      const ended = await start(argv, cwd, real).ended
      expect([argv, how(ended), ended.stderr]).toEqual([argv, 'exit 0', ''])
    }
    const found = await start(['wal-push', '100'], '/', `${join(odd, 'bin')}:${real}`).ended
    expect(how(found)).toBe('exit 0')
  })

  const platform = `node-linux-${process.arch}`
  const foreign = `node-linux-${process.arch === 'x64' ? 'arm64' : 'x64'}`

  test('its own pinned runtime, then the hoisted one, then PATH', async () => {
    const directory = join(top, 'prefix/lib/node_modules/seawall')
    installAt(directory)
    mkdirSync(join(top, 'prefix/bin'))
    symlinkSync('../lib/node_modules/seawall/bin/wal-push', join(top, 'prefix/bin/wal-push'))
    namedRuntime(join(top, 'named/node'), 'PATH')
    const search = `${join(top, 'named')}:/bin:/usr/bin`
    const chosen = async () => {
      const ended = await start([join(top, 'prefix/bin/wal-push'), '100'], '/', search).ended
      expect(how(ended)).toBe('exit 0')
      return ended.stderr
    }
    // Of another machine: its C library's loader is not here, as on musl.
    namedRuntime(join(directory, 'node_modules', foreign, 'bin/node'), 'foreign')
    expect(await chosen()).toBe('PATH\n')
    namedRuntime(join(directory, '..', platform, 'bin/node'), 'hoisted')
    expect(await chosen()).toBe('hoisted\n')
    namedRuntime(join(directory, 'node_modules', platform, 'bin/node'), 'own')
    expect(await chosen()).toBe('own\n')
  })

  test('NODE_OPTIONS of the caller does not matter', async () => {
    const env = { NODE_OPTIONS: '--no-such-option' }
    const ended = await start([join(top, 'installed/bin/wal-push'), '100'], '/', path, env).ended
    expect([how(ended), ended.stderr]).toEqual(['exit 0', ''])
  })

  test('the launchers of jobs differ in their names only', () => {
    const code = (launcher: Launcher) =>
      readFileSync(join(top, 'installed/bin', launcher), 'utf8')
        .replaceAll(/^#.*\n/gm, '')
        .replace(launcher, 'NAME')
    for (const job of JOBS) expect(code(job)).toBe(code('wal-push'))
  })
})
