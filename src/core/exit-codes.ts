/**
 * Every exit code of every executable: the one table that `--help`, the README and the launchers repeat.
 *
 * The launchers in bin/ translate what Node reports, because Node's own codes lie (a promise that never settles ends
 * in 0, an uncaught error in 1, other troubles of its own in 2 to 14). So everything is reported by a private code, and
 * Node's own count as failures without a result.
 */

/** Private codes from Node to its launcher. Never seen by PostgreSQL. */
export const LAUNCHER = {
  /** Added to the code of an error in the table below: 21..95. */
  errorOffset: 20,
  /** The job is done. The launcher turns it into 0. */
  done: 100,
  /** wal-fetch only: the archive confirmed that the file is not there, and that this is an end and not a hole. */
  absent: 101,
  /** wal-fetch only: an error that must be answered as on a standby (75), so that PostgreSQL asks again. */
  errorOnStandby: 102,
  /** wal-fetch only: an error that must stop the server (255), whatever stands in the data directory. */
  errorAndStop: 103,
} as const

/** What goes wrong, by stable name, and the exit code that says so. All within 1..99, so that PostgreSQL counts them. */
export const EXIT_CODES = {
  conflict: { exit: 1, meaning: 'the archive holds different content under the same name; nothing was overwritten' },
  usage: { exit: 2, meaning: 'a wrong option, setting or argument' },
  refused: { exit: 3, meaning: 'the input is not what it should be (wrong file, wrong cluster, target not empty)' },
  'archive-missing': { exit: 4, meaning: 'the archive is not there (not mounted? emptied?)' },
  'archive-io': { exit: 5, meaning: 'the archive could not be read or written' },
  corrupt: { exit: 6, meaning: 'an object in the archive is damaged' },
  'newer-format': { exit: 7, meaning: 'the archive was written by a newer version' },
  postgres: { exit: 8, meaning: 'the PostgreSQL server could not be reached or did not do what was asked' },
  'not-found': { exit: 9, meaning: 'no backup can serve what was asked for, or archived WAL has a hole before it' },
  'no-backup': { exit: 10, meaning: 'nothing was removed, because no backup counts' },
  'unknown-object': { exit: 11, meaning: 'nothing was removed, because an object under the cluster is not understood' },
  'local-io': { exit: 12, meaning: 'a local file could not be read or written' },
  internal: { exit: 70, meaning: 'a defect in this program' },
  timeout: { exit: 74, meaning: 'nothing moved for longer than the deadline' },
  interrupted: { exit: 75, meaning: 'interrupted, or ended without a result; safe to run again' },
} as const satisfies Record<string, { exit: number; meaning: string }>

export type ErrorCode = keyof typeof EXIT_CODES
