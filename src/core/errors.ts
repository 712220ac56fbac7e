/** The one family of errors: a stable code, what was being done, to what, why it failed, and what to do next. */
import { type ErrorCode, EXIT_CODES } from './exit-codes.ts'

export type { ErrorCode }

export interface ErrorDetails {
  /** What was being done, as an infinitive: "archive", "read the cluster record". */
  operation: string
  /** What it was being done to: a path, an object key, an option. Must carry no secret. */
  object: string
  /** Why it failed: lower case, no full stop. */
  reason: string
  /** Further facts, such as both sides of a comparison. */
  detail?: string
  /** What the reader should do next: a sentence. */
  hint: string
  /** Whether the same call may succeed a moment later, with nobody doing anything. Default: false. */
  transient?: boolean
  cause?: unknown
}

export class SeawallError extends Error {
  override readonly name = 'SeawallError'
  readonly code: ErrorCode
  readonly operation: string
  readonly object: string
  readonly reason: string
  readonly detail: string | undefined
  readonly hint: string
  readonly transient: boolean

  constructor(code: ErrorCode, details: ErrorDetails) {
    const subject = details.object === '' ? details.operation : `${details.operation} ${details.object}`
    super(`could not ${subject}: ${details.reason}`, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.operation = details.operation
    this.object = details.object
    this.reason = details.reason
    this.detail = details.detail
    this.hint = details.hint
    this.transient = details.transient ?? false
  }

  /** The exit code, 1..99, that stands for this error in the one table. */
  get exitCode(): number {
    return EXIT_CODES[this.code].exit
  }
}

/** The errno name (`ENOENT`) of a failed system call, or undefined for any other error. */
export function errno(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return error instanceof Error && typeof code === 'string' ? code : undefined
}

/** One line that says why, for an error of any origin. */
export function reasonOf(error: unknown): string {
  if (error instanceof SeawallError) return error.reason
  if (error instanceof Error) return error.message
  return String(error)
}

/** A local file, not the archive, could not be read or written. */
export function localIoError(operation: string, object: string, cause: unknown, hint: string): SeawallError {
  return new SeawallError('local-io', { operation, object, reason: reasonOf(cause), hint, cause })
}
