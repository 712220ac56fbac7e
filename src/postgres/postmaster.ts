/** `postmaster.pid`: who serves a data directory, and where (miscadmin.h, LOCK_FILE_LINE_*). */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errno, localIoError } from '../core/errors.ts'

export interface Postmaster {
  readonly pid: number
  /** As the server was told it, absolute. */
  readonly dataDirectory: string
  /** Seconds since 1970. */
  readonly startedAt: number
  readonly port: number
  /** First directory with a Unix socket; undefined where there is none. */
  readonly socketDirectory: string | undefined
}

/** Parses the file; undefined while the server has not yet written all of it, and for a single-user server. */
function parsePostmasterFile(text: string): Postmaster | undefined {
  const [pid, dataDirectory, startedAt, port, socketDirectory, listenAddress] = text.split('\n')
  const isNumber = (line: string | undefined): line is string => line !== undefined && /^[1-9]\d*$/.test(line)
  if (!isNumber(pid) || !isNumber(startedAt) || !isNumber(port) || !dataDirectory) return undefined
  if (listenAddress === undefined) return undefined
  return {
    pid: Number(pid),
    dataDirectory,
    startedAt: Number(startedAt),
    port: Number(port),
    socketDirectory: socketDirectory || undefined,
  }
}

/** What `postmaster.pid` says; undefined if there is none. The server may be dead: see `runningPostmaster`. */
export async function readPostmasterFile(dataDirectory: string): Promise<Postmaster | undefined> {
  const path = join(dataDirectory, 'postmaster.pid')
  try {
    return parsePostmasterFile(await readFile(path, 'utf8'))
  } catch (cause) {
    if (errno(cause) === 'ENOENT' || errno(cause) === 'ENOTDIR') return undefined
    throw localIoError('read', path, cause, 'Run this as the user of the PostgreSQL server.')
  }
}

/** The server of a data directory, if a process of the id in `postmaster.pid` runs. */
export async function runningPostmaster(dataDirectory: string): Promise<Postmaster | undefined> {
  const postmaster = await readPostmasterFile(dataDirectory)
  return postmaster && isRunning(postmaster.pid) ? postmaster : undefined
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errno(error) === 'EPERM'
  }
}
