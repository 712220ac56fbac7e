/** Running programs as the user of the servers, and finding processes that were left behind. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { asServersUser } from './servers-user.ts'

export interface RunOptions {
  readonly cwd?: string
  /** Added to an otherwise nearly empty environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Milliseconds until the whole process group is killed and the run fails. Default: 60 s. */
  readonly timeout?: number
}

export interface Result {
  /** Null if a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** The environment in which servers and launchers run: nothing of the caller's but what is named here. */
export function plainEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C', TZ: 'UTC', ...extra }
}

const started = new Set<ChildProcess>()

/** Kills what `start` started and what still runs, with its process group. */
export function killStarted(): void {
  for (const child of started) if (child.pid !== undefined) killGroup(child.pid)
}

/** Starts a program as the user of the servers, in its own process group, and does not wait for it. */
export function start(argv: readonly string[], options: RunOptions = {}): ChildProcess {
  const child = spawn(argv[0]!, argv.slice(1), {
    cwd: options.cwd ?? '/',
    env: plainEnvironment(options.env),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    ...asServersUser(),
  })
  started.add(child)
  child.once('close', () => started.delete(child))
  return child
}

/** Runs a program as the user of the servers to its end, whatever its exit code. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Result> {
  return finish(start(argv, options), argv.join(' '), options.timeout)
}

/** Waits for the end of what `start` started. */
export function finish(child: ChildProcess, what: string, timeout = 60_000): Promise<Result> {
  return new Promise((resolve, reject) => {
    const output: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] }
    const text = (stream: 'stdout' | 'stderr') => Buffer.concat(output[stream]).toString()
    const timer = setTimeout(() => {
      if (child.pid) killGroup(child.pid)
      reject(new Error(`${what} did not end within ${timeout} ms\n${text('stdout')}\n${text('stderr')}`))
    }, timeout)
    child.stdout?.on('data', (chunk: Buffer) => output.stdout.push(chunk))
    child.stderr?.on('data', (chunk: Buffer) => output.stderr.push(chunk))
    child.once('error', (cause) => {
      clearTimeout(timer)
      reject(new Error(`could not run ${what}`, { cause }))
    })
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stdout: text('stdout'), stderr: text('stderr') })
    })
  })
}

/** Kills a process group that `start` made, if it is still there. */
export function killGroup(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Whether a process of this id runs (one that is dead but not yet waited for does not). */
export function isRunning(pid: number): boolean {
  const state = readProcess(pid, 'stat')?.replace(/^.*\) /s, '')[0]
  return state !== undefined && state !== 'Z' && state !== 'X'
}

/** The running children of a process. */
export function childrenOf(pid: number): number[] {
  return allProcesses().filter(
    (child) =>
      readProcess(child, 'stat')
        ?.replace(/^.*\) /s, '')
        .split(' ')[1] === String(pid),
  )
}

/** Processes whose command line, environment or current directory names something below `directory`. */
export function processesUsing(directory: string): { pid: number; command: string }[] {
  return allProcesses()
    .filter((pid) => pid !== process.pid && isRunning(pid))
    .filter((pid) => {
      const places = [readProcess(pid, 'cmdline'), readProcess(pid, 'environ'), readWorkingDirectory(pid)]
      return places.some((place) => place?.includes(directory))
    })
    .map((pid) => ({ pid, command: readProcess(pid, 'cmdline')?.replaceAll('\0', ' ').trim() ?? '' }))
}

function allProcesses(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

function readProcess(pid: number, file: 'stat' | 'cmdline' | 'environ'): string | undefined {
  return ifItExists(() => readFileSync(`/proc/${pid}/${file}`, 'utf8'))
}

function readWorkingDirectory(pid: number): string | undefined {
  return ifItExists(() => readlinkSync(`/proc/${pid}/cwd`))
}

/** Undefined for a process that has ended or belongs to somebody else. */
function ifItExists<Value>(read: () => Value): Value | undefined {
  try {
    return read()
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(code)) return undefined
    throw error
  }
}
