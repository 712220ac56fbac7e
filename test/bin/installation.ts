/** Small installations of the launchers with a stand-in for the built executables. */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const JOBS = ['wal-push', 'wal-prune', 'base-push', 'base-fetch'] as const
export const LAUNCHERS = [...JOBS, 'wal-fetch'] as const
export type Launcher = (typeof LAUNCHERS)[number]

const bin = fileURLToPath(new URL('../../bin', import.meta.url))

/** Ends as its first argument says. */
const standIn = `
const act = process.argv[2]
const acts = {
  'never settles': () => new Promise(() => {}),
  throws: () => { throw new Error('as asked') },
  rejects: () => Promise.reject(new Error('as asked')),
  'runs out of memory': () => {
    const kept = []
    for (;;) kept.push(new Array(100_000).fill(kept.length + 0.5).map((value) => ({ value })))
  },
  'waits politely': () => {
    process.on('SIGTERM', () => process.exit(95))
    process.on('SIGINT', () => process.exit(95))
    setInterval(() => {}, 1000)
    process.stderr.write('ready\\n')
  },
  'dies of TERM': () => {
    setInterval(() => {}, 1000)
    process.stderr.write('ready\\n')
  },
  'ignores signals': () => {
    process.on('SIGTERM', () => process.stderr.write('TERM\\n'))
    setInterval(() => {}, 1000)
    process.stderr.write('ready\\n')
  },
  'ends soon': () => {
    process.on('SIGTERM', () => process.exit(95))
    setTimeout(() => process.exit(100), 5)
  },
  'prints its arguments': () => {
    process.stdout.write(JSON.stringify(process.argv.slice(2)))
    process.exit(100)
  },
}
if (/^\\d+$/.test(act)) process.exit(Number(act))
if (/^SIG/.test(act)) process.kill(process.pid, act)
else await acts[act]()
`

/** Copies the launchers to `directory`, which must not exist, each with the stand-in. */
export function installAt(directory: string): void {
  mkdirSync(join(directory, 'dist'), { recursive: true })
  cpSync(bin, join(directory, 'bin'), { recursive: true })
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }')
  for (const launcher of LAUNCHERS) writeFileSync(join(directory, 'dist', `${launcher}.js`), standIn)
}

/** A runtime that says who it is, and then is the one that runs this test. */
export function namedRuntime(path: string, name: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `#!/bin/sh\necho ${name} >&2\nexec '${process.execPath}' "$@"\n`)
  chmodSync(path, 0o755)
}

/** A directory for PATH that holds a runtime with so little memory that it can run out of it quickly. */
export function pathWithSmallNode(directory: string): string {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'node'), `#!/bin/sh\nexec '${process.execPath}' --max-old-space-size=30 "$@"\n`)
  chmodSync(join(directory, 'node'), 0o755)
  return directory
}

/** A directory for PATH that holds the runtime and nothing else. */
export function pathWithNode(directory: string): string {
  mkdirSync(directory, { recursive: true })
  symlinkSync(process.execPath, join(directory, 'node'))
  return directory
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** Resolves when standard error holds the text. */
  readonly said: (text: string) => Promise<void>
}

/** Starts `argv` with nothing but PATH in its environment, in a process group of its own. */
export function start(argv: readonly string[], cwd: string, path: string, env: Record<string, string> = {}): Running {
  const child = spawn(argv[0]!, argv.slice(1), { cwd, env: { PATH: path, ...env }, detached: true })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  const said = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (stderr.includes(text)) resolve()
      }
      child.stderr.on('data', look)
      ended.then(() => reject(new Error(`it ended and had not said "${text}": ${stderr}`)))
      look()
    })
  return { child, ended, said }
}
