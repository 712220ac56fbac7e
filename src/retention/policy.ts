/** What is to be kept. */
export interface Policy {
  /** Length of the recovery window, in milliseconds. */
  readonly windowMs: number
  /** At least this many backups that count are kept. */
  readonly keepBase: number
}
