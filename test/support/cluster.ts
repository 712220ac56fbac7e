/**
 * Real PostgreSQL clusters for tests, without any client program.
 *
 *     const cluster = await createCluster({ version: 13, settings: { archive_mode: 'on', archive_command: '…' } })
 *     await cluster.query('create table t as select generate_series(1, $1) as n', [1000])   // rows as objects
 *     await cluster.stop('fast')             // also 'immediate'; cluster.kill() is kill -9 of all its processes
 *     await cluster.start()                  // until it accepts connections (or is a hot standby); throws with the log
 *     cluster.configure({ recovery_target: 'immediate' })    // appends to postgresql.conf; then reload() or restart()
 *     await cluster.waitForLog(/archiving write-ahead log file .* failed/)
 *     await cluster.waitForRow('select 1 from pg_stat_archiver where failed_count > 0')
 *     cluster.dataDirectory  cluster.socketDirectory  cluster.port  cluster.dsn  cluster.logText()  cluster.directory
 *
 *     const copy = openCluster({ version: 13, dataDirectory: restored })    // of a restored directory; not started yet
 *     await copy.start(); await copy.waitForPromotion()                     // recovery_target_action = promote
 *     const { code, log } = await copy.startAndFail()                       // expects the server to end by itself
 *
 * `settings` go into postgresql.conf, so that they travel with a base backup. The harness's own (socket, port, memory,
 * fsync off) stand on the command line of each start, so that they never do. Everything is removed at the end of the
 * test file (setup.ts), and what still runs then fails it. Directories belong to the user of the servers, who is not
 * root: use `temporaryDirectory()` for archives and restores, `run([...argv], { cwd, env })` of processes.ts to run
 * programs as that user, and installation.ts for the launchers.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { type PollOptions, waitFor } from './poll.ts'
import { majorOf, programsOf, type Version } from './postgres/programs.ts'
import { childrenOf, isRunning, plainEnvironment, run } from './processes.ts'
import { asServersUser } from './servers-user.ts'
import { onCleanUp, temporaryDirectory } from './temporary.ts'

export type { Version }

export type Settings = Readonly<Record<string, string | number | boolean>>

export interface OpenOptions {
  /** Default: 18. */
  readonly version?: Version
  readonly dataDirectory: string
  /** For the log and the socket: a short path. Default: a new temporary directory. */
  readonly directory?: string
  /** Settings of the command line: stronger than any file of the data directory. */
  readonly commandLine?: Settings
  /** Added to the environment of the server, and so of archive_command and restore_command. */
  readonly environment?: Readonly<Record<string, string>>
}

export interface CreateOptions extends Omit<OpenOptions, 'dataDirectory'> {
  /** Must not exist yet. Default: below a new temporary directory. */
  readonly dataDirectory?: string
  /** Written to postgresql.conf. */
  readonly settings?: Settings
  /** Mebibytes, a power of two. Default: PostgreSQL's (16). */
  readonly segmentSize?: number
  /** Default: that of the version's initdb (off before 18). */
  readonly dataChecksums?: boolean
  /** Default: true. */
  readonly start?: boolean
}

/** Runs initdb in a new directory and starts the server. Superuser `postgres`, database `postgres`, trust over the socket. */
export async function createCluster(options: CreateOptions = {}): Promise<Cluster> {
  const { version = 18, settings, segmentSize, dataChecksums, start = true, ...rest } = options
  const dataDirectory = options.dataDirectory ?? join(temporaryDirectory(), 'data')
  const argv = [join(programsOf(version), 'initdb'), '--no-sync', '-A', 'trust', '-E', 'UTF8', '--locale=C']
  argv.push('-U', 'postgres', '-D', dataDirectory)
  if (segmentSize !== undefined) argv.push(`--wal-segsize=${segmentSize}`)
  if (dataChecksums === true) argv.push('--data-checksums')
  if (dataChecksums === false && majorOf(version) >= 18) argv.push('--no-data-checksums')
  const initdb = await run(argv)
  if (initdb.code !== 0) throw new Error(`initdb failed:\n${initdb.stdout}\n${initdb.stderr}`)
  const cluster = openCluster({ ...rest, version, dataDirectory })
  if (settings) cluster.configure(settings)
  if (start) await cluster.start()
  return cluster
}

/** A cluster whose data directory exists already. */
export function openCluster(options: OpenOptions): Cluster {
  const cluster = new Cluster(options)
  onCleanUp(() => cluster.dispose())
  return cluster
}

interface Server {
  readonly pid: number
  /** Set once it has ended. */
  ending?: Ending
}

interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export class Cluster {
  readonly version: Version
  readonly major: number
  readonly dataDirectory: string
  /** Holds the log and the socket. */
  readonly directory: string
  readonly socketDirectory: string
  readonly port = 20_000 + Math.floor(Math.random() * 40_000)
  readonly logFile: string
  readonly #commandLine: Settings
  readonly #environment: Readonly<Record<string, string>>
  #server: Server | undefined

  constructor({ version = 18, dataDirectory, directory, commandLine = {}, environment = {} }: OpenOptions) {
    this.version = version
    this.major = majorOf(version)
    this.dataDirectory = dataDirectory
    this.directory = directory ?? temporaryDirectory()
    this.socketDirectory = this.directory
    this.logFile = join(this.directory, 'log')
    this.#commandLine = commandLine
    this.#environment = environment
  }

  /** For `--dsn`. */
  get dsn(): string {
    const host = encodeURIComponent(this.socketDirectory)
    return `postgresql://postgres@/postgres?host=${host}&port=${this.port}`
  }

  /** The postmaster's process id; undefined when the server does not run. */
  get pid(): number | undefined {
    return this.#server?.ending === undefined ? this.#server?.pid : undefined
  }

  /** Everything the server (and what it called) has ever written to standard error. */
  logText(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : ''
  }

  /** Appends settings to postgresql.conf. */
  configure(settings: Settings): void {
    const lines = Object.entries(settings).map(
      ([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`,
    )
    appendFileSync(join(this.dataDirectory, 'postgresql.conf'), lines.join(''))
  }

  /**
   * Starts the server and waits until it accepts connections (hot standby included), or, with `hot_standby` off or
   * with `wait` false, not at all.
   * @throws with the log's end if the server ends first.
   */
  async start({ wait = true, timeout = 60_000 } = {}): Promise<void> {
    const server = this.#launch()
    if (!wait) return
    await waitFor(
      'the server to accept connections',
      () => {
        if (server.ending) throw new Error(`the server ended with ${describe(server.ending)}\n${this.#logEnd()}`)
        const lines = this.#postmasterPid()
        return lines[0] === String(server.pid) && ['ready', 'standby'].includes(lines[7] ?? '')
      },
      { timeout, explain: () => this.#logEnd() },
    )
  }

  /** Starts the server, expecting that it ends by itself. `log` is what it wrote since. */
  async startAndFail({ timeout = 60_000 } = {}): Promise<Ending & { log: string }> {
    const before = this.logText().length
    const ending = await this.waitForEnd(timeout, this.#launch())
    return { ...ending, log: this.logText().slice(before) }
  }

  /** Waits until the running server has ended by itself. */
  async waitForEnd(timeout = 60_000, server = this.#server): Promise<Ending> {
    if (!server) throw new Error('the server was never started')
    return waitFor('the server to end', () => server.ending, { timeout, explain: () => this.#logEnd() })
  }

  async stop(mode: 'smart' | 'fast' | 'immediate' = 'fast', timeout = 60_000): Promise<void> {
    const pid = this.pid
    if (pid === undefined) return
    process.kill(pid, { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' }[mode])
    await this.waitForEnd(timeout)
  }

  async restart(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.stop(mode)
    await this.start()
  }

  /** Kills every process of the server at once, as a crash of the machine would. */
  async kill(): Promise<void> {
    const pid = this.pid
    if (pid === undefined) return
    const pids = [pid, ...childrenOf(pid)]
    for (const each of pids) if (isRunning(each)) process.kill(each, 'SIGKILL')
    await waitFor('the killed processes to be gone', () => !pids.some(isRunning))
    await this.waitForEnd()
  }

  reload(): void {
    if (this.pid === undefined) throw new Error('the server does not run')
    process.kill(this.pid, 'SIGHUP')
  }

  async promote(): Promise<void> {
    await this.query('select pg_promote(true, 60)')
    await this.waitForPromotion()
  }

  /** Waits until recovery has ended; throws with the log's end if the server ends first. */
  async waitForPromotion(timeout = 60_000): Promise<void> {
    await waitFor(
      'recovery to end',
      async () => {
        if (this.#server?.ending) throw new Error(`the server ended in recovery\n${this.#logEnd()}`)
        return this.#postmasterPid()[7] === 'ready' && !(await this.value('select pg_is_in_recovery()'))
      },
      { timeout, explain: () => this.#logEnd() },
    )
  }

  /** A connection that the caller ends; it is ended at the end of the test file otherwise. */
  async connect(database = 'postgres', user = 'postgres'): Promise<pg.Client> {
    const client = this.#client(database, user)
    await client.connect()
    onCleanUp(() => client.end())
    return client
  }

  /** Runs one statement on a connection of its own. */
  async query<Row extends pg.QueryResultRow = Record<string, unknown>>(
    sql: string,
    parameters: readonly unknown[] = [],
    database = 'postgres',
  ): Promise<Row[]> {
    const client = this.#client(database)
    await client.connect()
    try {
      return (await client.query<Row>(sql, parameters.length > 0 ? [...parameters] : undefined)).rows
    } finally {
      await client.end()
    }
  }

  /** The only column of the only row. */
  async value<Value = unknown>(sql: string, parameters: readonly unknown[] = []): Promise<Value> {
    const rows = await this.query(sql, parameters)
    const values = Object.values(rows[0] ?? {})
    if (rows.length !== 1 || values.length !== 1) throw new Error(`not one value, but ${JSON.stringify(rows)}: ${sql}`)
    return values[0] as Value
  }

  /** Waits until a query gives a row, and returns it. */
  async waitForRow(sql: string, options: PollOptions = {}): Promise<Record<string, unknown>> {
    return waitFor(sql, async () => (await this.query(sql))[0], { explain: () => this.#logEnd(), ...options })
  }

  /** Waits until the log matches, beginning at character `from`. */
  async waitForLog(pattern: RegExp, options: PollOptions & { from?: number } = {}): Promise<RegExpExecArray> {
    const look = () => pattern.exec(this.logText().slice(options.from ?? 0)) ?? undefined
    return waitFor(`${pattern} in the log`, look, { explain: () => this.#logEnd(), ...options })
  }

  /** Ends the current WAL segment and returns its name. */
  async switchWal(): Promise<string> {
    return this.value<string>(
      "select pg_walfile_name(pg_switch_wal()) from pg_logical_emit_message(false, 'test', 'not empty')",
    )
  }

  /** Waits until the archiver has archived a file of pg_wal, or one after it. */
  async waitUntilArchived(name: string, options: PollOptions = {}): Promise<void> {
    await this.waitForRow(`select 1 from pg_stat_archiver where last_archived_wal >= '${name}'`, options)
  }

  /** Stops the server, however it is. */
  async dispose(): Promise<void> {
    try {
      await this.stop('immediate', 20_000)
    } finally {
      await this.kill()
    }
  }

  #client(database: string, user = 'postgres'): pg.Client {
    const client = new pg.Client({ host: this.socketDirectory, port: this.port, user, database })
    client.on('error', () => {}) // The server may be stopped meanwhile; the query under way, or the next one, says so.
    return client
  }

  #launch(): Server {
    if (this.pid !== undefined) throw new Error('the server already runs')
    const argv = ['-D', this.dataDirectory]
    for (const [name, value] of Object.entries({ ...this.#harnessSettings(), ...this.#commandLine })) {
      argv.push('-c', `${name}=${value}`)
    }
    const log = openSync(this.logFile, 'a')
    const child = spawn(join(programsOf(this.version), 'postgres'), argv, {
      cwd: this.directory,
      env: plainEnvironment(this.#environment),
      stdio: ['ignore', log, log],
      detached: true,
      ...asServersUser(),
    })
    closeSync(log)
    if (child.pid === undefined) throw new Error('postgres could not be started')
    const server: Server = { pid: child.pid }
    const serverGuard = guard(child.pid)
    child.once('exit', (code, signal) => {
      server.ending = { code, signal }
      serverGuard.kill('SIGKILL')
    })
    this.#server = server
    return server
  }

  #harnessSettings(): Settings {
    return {
      listen_addresses: '',
      unix_socket_directories: this.socketDirectory,
      port: this.port,
      shared_buffers: '16MB',
      max_connections: 20,
      autovacuum: 'off',
      fsync: 'off',
      timezone: 'UTC',
      log_timezone: 'UTC',
    }
  }

  #postmasterPid(): string[] {
    const path = join(this.dataDirectory, 'postmaster.pid')
    if (!existsSync(path)) return []
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.trim())
  }

  #logEnd(): string {
    return this.logText().split('\n').slice(-40).join('\n')
  }
}

/** Lets a server not outlive us, even if we are killed: the guard ends it when its input ends. */
function guard(pid: number): ChildProcess {
  const shell = spawn('/bin/sh', ['-c', 'read -r _; kill -QUIT "$1"', 'sh', String(pid)], {
    cwd: '/',
    env: {},
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  shell.unref()
  ;(shell.stdin as Socket).unref()
  return shell
}

function describe({ code, signal }: Ending): string {
  return signal ?? `exit code ${code}`
}
