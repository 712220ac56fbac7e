/** What an executable is, to those who run it: options, exit codes and one call. */
import type { Clock } from '../core/clock.ts'
import { type ErrorCode, EXIT_CODES } from '../core/exit-codes.ts'
import type { Log } from '../core/log.ts'
import type { OptionName, OptionValues } from './options.ts'

export interface Positional {
  readonly name: string
  readonly describe: string
  readonly optional?: boolean
}

export interface Context {
  readonly log: Log
  readonly clock: Clock
  /** Aborted by SIGINT, SIGTERM and by the deadline for time without progress; its reason is the error to end with. */
  readonly signal: AbortSignal
  /** To be called whenever bytes moved: restarts the deadline for time without progress. */
  readonly progressed: () => void
  /** Shortens the deadline for time without progress to so many milliseconds; never lengthens it. */
  readonly limitIdleTime: (milliseconds: number) => void
  /** The current directory: PostgreSQL's data directory when PostgreSQL is the caller. */
  readonly cwd: string
  /** The directory of the installed launchers, absolute. */
  readonly binDirectory: string
  /** The configuration file that was read, absolute, if one was named by flag or environment. */
  readonly configFile: string | undefined
  /** Numeric id of the user who runs this; undefined where the system has none. */
  readonly uid: number | undefined
  /** Home directory of that user (throws if there is none), and `$XDG_STATE_HOME`: where state is kept by default. */
  readonly home: () => string
  readonly stateHome: string | undefined
  /** Writes a result to standard output. */
  readonly print: (text: string) => void
  /** Shows a passing state on a terminal, in place of the last one; does nothing when standard error is no terminal. */
  readonly showProgress: (line: string) => void
  readonly isTerminal: boolean
}

/** How a command ended, when it did not throw. */
export type Outcome = 'done' | 'absent' | 'error-on-standby' | 'error-and-stop' | ErrorCode

export interface Command<Names extends OptionName = OptionName> {
  readonly name: string
  readonly summary: string
  readonly positionals: readonly Positional[]
  readonly options: readonly Names[]
  /** Exit codes with what they mean for this command, as its `--help` prints them, lowest first. */
  readonly exitCodes: readonly { readonly exit: string; readonly meaning: string }[]
  readonly examples: readonly string[]
  run(context: Context, options: Pick<OptionValues, Names>, positionals: readonly string[]): Promise<Outcome>
}

/** Rows of the one table of exit codes, for a command's `exitCodes`, lowest first. */
export function exitCodesOf(...codes: ErrorCode[]): Command['exitCodes'] {
  return codes
    .map((code) => EXIT_CODES[code])
    .sort((one, other) => one.exit - other.exit)
    .map(({ exit, meaning }) => ({ exit: String(exit), meaning }))
}

/** How every command that writes to an archive can fail. */
export const WRITER_ERRORS = [
  'conflict',
  'usage',
  'refused',
  'archive-missing',
  'archive-io',
  'corrupt',
  'newer-format',
  'local-io',
  'internal',
  'timeout',
  'interrupted',
] as const satisfies ErrorCode[]
