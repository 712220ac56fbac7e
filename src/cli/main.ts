/** What every executable does: read options, run its command, and report how it ended. */
import { homedir } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Command, Context, Outcome } from '../commands/command.ts'
import type { LogLevel, OptionName } from '../commands/options.ts'
import { systemClock } from '../core/clock.ts'
import { formatDuration } from '../core/duration.ts'
import { localIoError, reasonOf, SeawallError } from '../core/errors.ts'
import { EXIT_CODES, LAUNCHER } from '../core/exit-codes.ts'
import type { Log } from '../core/log.ts'
import { startDeadline } from './deadline.ts'
import { parseFlags } from './flags.ts'
import { helpText } from './help.ts'
import { createLogger } from './logger.ts'
import { type ErrorOutput, errorOutput, OutputClosed, print } from './output.ts'
import { resolveSettings, type Settings } from './settings.ts'
import { dieOf, listenForSignals, type Termination } from './signals.ts'
import { VERSION } from './version.ts'

/** How long a command may take to end after it was told to; then a file system hangs. Milliseconds. */
const timeToCleanUp = 5000

/** Runs a command as this process, and ends the process. */
export async function main<Names extends OptionName>(command: Command<Names>): Promise<never> {
  // The server's user reads and writes what it creates, whatever mask it was started with.
  process.umask(process.umask() & 0o077)
  const output = errorOutput()
  let log = createLogger({ name: command.name, level: 'info', format: formatBeforeOptions(), write: output.writeLines })
  // Whatever escapes, and a command that waits for nothing, must not look like a success.
  process.on('uncaughtException', (error) => end(output, reportFailure(log, error)))
  process.on('beforeExit', () => {
    end(output, reportFailure(log, new Error('the command neither succeeded nor failed; nothing is left to wait for')))
  })
  try {
    const flags = parseFlags(process.argv.slice(2), command as unknown as Command<OptionName>)
    if (flags.help || flags.version) {
      print(flags.help ? helpText(command as unknown as Command<OptionName>) : `${command.name} (seawall) ${VERSION}\n`)
      return end(output, LAUNCHER.done)
    }
    const settings = await resolveSettings(command, flags, process.env, currentDirectory())
    const options = settings.options as Record<string, unknown>
    log = createLogger({
      name: command.name,
      level: (options['log-level'] as LogLevel | undefined) ?? 'info',
      format: (options['log-format'] as 'text' | 'json' | undefined) ?? 'text',
      write: output.writeLines,
    })
    for (const warning of settings.warnings) log.warn(warning)
    return end(output, await run(command, settings, flags.positionals, log, output))
  } catch (error) {
    return end(output, reportFailure(log, error))
  }
}

async function run<Names extends OptionName>(
  command: Command<Names>,
  settings: Settings<Names>,
  positionals: readonly string[],
  log: Log,
  output: ErrorOutput,
): Promise<number> {
  const abort = new AbortController()
  const stop = (reason: SeawallError) => {
    if (!abort.signal.aborted) abort.abort(reason)
  }
  const timeout = (settings.options as { timeout?: number }).timeout
  const deadline =
    timeout === undefined
      ? undefined
      : startDeadline(timeout, (idle) => {
          stop(timedOut(command.name, idle))
          setTimeout(() => {
            log.failure(abort.signal.reason)
            // Not process.exit, which waits for the thread that hangs.
            process.kill(process.pid, 'SIGKILL')
          }, timeToCleanUp).unref()
        })
  const signals = listenForSignals(
    (signal) => stop(interrupted(command.name, signal)),
    (signal) => dieOf(signal),
  )
  const context: Context = {
    log,
    clock: systemClock,
    signal: abort.signal,
    progressed: deadline?.progressed ?? (() => {}),
    limitIdleTime: deadline?.limit ?? (() => {}),
    cwd: currentDirectory(),
    binDirectory: binDirectory(),
    configFile: settings.configFile,
    uid: process.getuid?.(),
    home: homedir,
    stateHome: process.env.XDG_STATE_HOME || undefined,
    print,
    showProgress: output.showProgress,
    isTerminal: output.isTerminal,
  }
  let status: number
  try {
    status = exitStatus(await command.run(context, settings.options, positionals))
  } catch (error) {
    status = abort.signal.aborted ? reportStopped(log, abort.signal.reason, error) : reportFailure(log, error)
  } finally {
    deadline?.stop()
  }
  if (status !== LAUNCHER.done && signals.received() === 'SIGTERM') {
    output.showProgress('')
    dieOf('SIGTERM')
  }
  return status
}

/** The private code for the launcher, or the one of the table. */
function exitStatus(outcome: Outcome): number {
  switch (outcome) {
    case 'done':
      return LAUNCHER.done
    case 'absent':
      return LAUNCHER.absent
    case 'error-on-standby':
      return LAUNCHER.errorOnStandby
    case 'error-and-stop':
      return LAUNCHER.errorAndStop
    default:
      return EXIT_CODES[outcome].exit
  }
}

/** Logs why a command failed. @returns its exit code */
function reportFailure(log: Log, error: unknown): number {
  if (error instanceof OutputClosed) return EXIT_CODES.interrupted.exit
  const failure = error instanceof SeawallError ? error : defect(error)
  log.failure(failure)
  return failure.exitCode
}

/** A command that was told to stop ends for that reason; what went wrong on the way is said too. */
function reportStopped(log: Log, reason: SeawallError, error: unknown): number {
  log.failure(reason)
  if (!comesFrom(error, reason)) log.failure(error instanceof SeawallError ? error : defect(error), 'warn')
  return reason.exitCode
}

function comesFrom(error: unknown, reason: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 10; cause = cause.cause, depth++) {
    if (cause === reason || cause.name === 'AbortError') return true
  }
  return false
}

function defect(error: unknown): SeawallError {
  return new SeawallError('internal', {
    operation: 'go on',
    object: '',
    reason: `unexpected error: ${reasonOf(error)}`,
    hint: 'This is a defect of the program. Please report it, with the output of --log-level debug.',
    cause: error,
  })
}

function timedOut(name: string, milliseconds: number): SeawallError {
  return new SeawallError('timeout', {
    operation: 'finish',
    object: name,
    reason: `nothing moved for ${formatDuration(milliseconds)}`,
    hint: 'Check that the file systems of the archive and of the data directory answer (a hung network mount does not), or raise --timeout.',
    transient: true,
  })
}

function interrupted(name: string, signal: Termination): SeawallError {
  return new SeawallError('interrupted', {
    operation: 'finish',
    object: name,
    reason: `interrupted by ${signal}`,
    hint: 'Nothing is half done; it is safe to run it again.',
  })
}

function currentDirectory(): string {
  try {
    return process.cwd()
  } catch (cause) {
    throw localIoError(
      'enter',
      'the current directory',
      cause,
      'It was removed, or may not be read: start in another one.',
    )
  }
}

/** The launchers' directory beside `dist/`, or, when the sources run directly, beside `src/`. */
function binDirectory(): string {
  const here = fileURLToPath(import.meta.url)
  const root = here.replace(/\/(?:dist\/(?:chunks\/)?|src\/cli\/)[^/]*$/, '')
  return `${root}/bin`
}

/** Errors in options come before `--log-format` is known; whoever set it by environment wants them in that form too. */
function formatBeforeOptions(): 'text' | 'json' {
  return process.env.SEAWALL_LOG_FORMAT === 'json' ? 'json' : 'text'
}

/**
 * Ends the process. `process.exit` waits for the threads of calls that are still under way, and one on a file system that
 * hangs never ends: after a while the process kills itself, and the launcher answers for it.
 */
async function end(output: ErrorOutput, status: number): Promise<never> {
  output.showProgress('')
  const privateCode = status < LAUNCHER.done ? status + LAUNCHER.errorOffset : status
  const limit = performance.now() + timeToCleanUp
  while (isCallUnderWay()) {
    if (performance.now() > limit) process.kill(process.pid, 'SIGKILL')
    await systemClock.sleep(10)
  }
  process.exit(privateCode)
}

function isCallUnderWay(): boolean {
  return process.getActiveResourcesInfo().some((name) => /^(FSReq|GetAddrInfo)/.test(name))
}
