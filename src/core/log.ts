/** What the layers below the command line need of a logger: levels, a message, and facts. */
import type { SeawallError } from './errors.ts'

export interface Log {
  debug(message: string, facts?: Record<string, unknown>): void
  info(message: string, facts?: Record<string, unknown>): void
  warn(message: string, facts?: Record<string, unknown>): void
  error(message: string, facts?: Record<string, unknown>): void
  /** An error with its detail, hint and causes. */
  failure(error: SeawallError, level?: 'error' | 'warn'): void
}
