/** Lists what belongs into a base backup, in a fixed order, while the server goes on changing it. */
import { constants, type Stats } from 'node:fs'
import { lstat, readdir, readlink, realpath } from 'node:fs/promises'
import { posix } from 'node:path'
import { errno, localIoError, SeawallError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { type BytePath, display, join, toBytes, toText } from './byte-path.ts'
import { isDatabaseDirectory, isEmptied, isExcluded, isTransientRelation } from './exclusions.ts'
import { MAX_OCTAL_11, type TarOwner } from './tar.ts'

export interface ScanEntry extends TarOwner {
  readonly kind: 'file' | 'directory'
  /** PostgreSQL's path: below the data directory, `pg_tblspc/<oid>/PG_…` in a tablespace. */
  readonly path: BytePath
  /** Oid of the tablespace in which it lies; null for the data directory. */
  readonly tablespace: number | null
  /** Where it is now, absolute. */
  readonly source: BytePath
  /** Bytes when it was looked at; 0 for a directory. */
  readonly size: number
  /** Permission bits. */
  readonly mode: number
  /** Seconds since 1970. */
  readonly mtime: number
}

export interface ScannedTablespace {
  readonly oid: number
  /** Target of its symbolic link, absolute; valid UTF-8. */
  readonly location: BytePath
}

/**
 * The tablespaces of a data directory that are symbolic links, by ascending oid. In-place ones are ordinary directories.
 * @throws SeawallError `refused` for a location that is not UTF-8, `local-io`
 */
export async function listTablespaces(dataDirectory: BytePath): Promise<ScannedTablespace[]> {
  const directory = await realPathOf(join(dataDirectory, 'pg_tblspc'))
  const tablespaces: ScannedTablespace[] = []
  for (const name of await namesIn(directory)) {
    if (!/^\d+$/.test(name)) continue
    const target = await targetOf(join(directory, name))
    if (target === undefined) continue
    // A link may be relative, to the directory in which it stands.
    const location = posix.resolve(directory, target)
    if (toText(location) === undefined) throw notText(location)
    tablespaces.push({ oid: Number(name), location })
  }
  return tablespaces.sort((left, right) => left.oid - right.oid)
}

/**
 * Everything in the data directory but `global/pg_control`, which is read last of all, and but the contents of pg_wal.
 * Directories come before what they contain, names in byte order.
 * @param warn is told of what is skipped although it has a name of its own: symbolic links and special files.
 */
export async function* scanDataDirectory(
  dataDirectory: BytePath,
  tablespaces: readonly ScannedTablespace[],
  warn: Log['warn'],
): AsyncGenerator<ScanEntry> {
  const root = await realPathOf(dataDirectory)
  const inside = new Set<BytePath>()
  for (const { location } of tablespaces) inside.add(await realPathOf(location))
  yield* scan({ root, path: '', tablespace: null, skipped: inside, warn })
}

/** Everything of one server version in a tablespace, its version directory first. */
export async function* scanTablespace(
  tablespace: ScannedTablespace,
  versionDirectory: string,
  warn: Log['warn'],
): AsyncGenerator<ScanEntry> {
  const source = join(tablespace.location, versionDirectory)
  const stats = await lookAt(source)
  // A tablespace may be dropped while it is being looked at.
  if (!stats?.isDirectory()) return
  const path = `pg_tblspc/${tablespace.oid}/${versionDirectory}`
  yield entryOf('directory', path, tablespace.oid, source, stats)
  yield* scan({ root: source, path, tablespace: tablespace.oid, skipped: new Set(), warn })
}

interface Place {
  readonly root: BytePath
  readonly path: BytePath
  readonly tablespace: number | null
  /** Directories, by real path, whose contents are scanned on their own. */
  readonly skipped: ReadonlySet<BytePath>
  readonly warn: Log['warn']
}

async function* scan(place: Place): AsyncGenerator<ScanEntry> {
  const names = await namesIn(place.root)
  const siblings = new Set(names)
  const holdsRelations = isDatabaseDirectory(place.path)
  for (const name of names) {
    const path = join(place.path, name)
    const source = join(place.root, name)
    if (isExcluded(path) || path === 'global/pg_control') continue
    if (holdsRelations && isTransientRelation(name, siblings)) continue
    const stats = await lookAt(source)
    if (!stats) continue
    if (path === 'pg_wal' || isEmptied(path)) yield* emptied(path, source, stats)
    else if (stats.isDirectory()) {
      yield entryOf('directory', path, place.tablespace, source, stats)
      if (!place.skipped.has(source)) yield* scan({ ...place, root: source, path })
    } else if (stats.isFile()) yield entryOf('file', path, place.tablespace, source, stats)
    else if (!stats.isSymbolicLink() || !/^pg_tblspc\/\d+$/.test(path)) {
      const what = stats.isSymbolicLink() ? 'a symbolic link' : 'a special file'
      place.warn(`skipping ${display(path)}: it is ${what}, which no base backup holds`, { path: display(source) })
    }
  }
}

/** A directory without its contents; pg_wal keeps the directories that the server expects in it. */
async function* emptied(path: BytePath, source: BytePath, stats: Stats): AsyncGenerator<ScanEntry> {
  // A symbolic link becomes a directory, with the permissions that PostgreSQL gives to a directory.
  const directory = stats.isSymbolicLink() ? { ...stats, mode: constants.S_IFDIR | 0o700 } : stats
  yield entryOf('directory', path, null, source, directory)
  if (path !== 'pg_wal') return
  for (const name of await namesIn(source)) {
    if (name !== 'archive_status' && name !== 'summaries') continue
    yield entryOf('directory', join(path, name), null, join(source, name), directory)
  }
}

type Facts = Pick<Stats, 'size' | 'mode' | 'mtimeMs' | 'uid' | 'gid'>

function entryOf(
  kind: ScanEntry['kind'],
  path: BytePath,
  tablespace: number | null,
  source: BytePath,
  stats: Facts,
): ScanEntry {
  return { kind, path, tablespace, source, ...factsOf(stats), size: kind === 'file' ? stats.size : 0 }
}

/** What a backup records of a file, from what the file system says. */
export function factsOf(stats: Facts): Pick<ScanEntry, 'size' | 'mode' | 'mtime' | 'uid' | 'gid'> {
  return {
    size: stats.size,
    mode: stats.mode & 0o7777,
    mtime: Math.min(Math.max(0, Math.floor(stats.mtimeMs / 1000)), MAX_OCTAL_11),
    uid: stats.uid,
    gid: stats.gid,
  }
}

/** The names in a directory in byte order; none if it has vanished. */
async function namesIn(directory: BytePath): Promise<BytePath[]> {
  try {
    const names = await readdir(toBytes(directory), { encoding: 'buffer' })
    return names.map((name) => name.toString('latin1')).sort()
  } catch (error) {
    if (errno(error) === 'ENOENT') return []
    throw unreadable('list directory', directory, error)
  }
}

async function lookAt(path: BytePath): Promise<Stats | undefined> {
  try {
    return await lstat(toBytes(path))
  } catch (error) {
    if (errno(error) === 'ENOENT') return undefined
    throw unreadable('look at', path, error)
  }
}

/** Where a symbolic link points; undefined if it has vanished or is none. */
async function targetOf(link: BytePath): Promise<BytePath | undefined> {
  try {
    const target = await readlink(toBytes(link), { encoding: 'buffer' })
    return target.toString('latin1')
  } catch (error) {
    if (errno(error) === 'ENOENT' || errno(error) === 'EINVAL') return undefined
    throw unreadable('read symbolic link', link, error)
  }
}

async function realPathOf(path: BytePath): Promise<BytePath> {
  try {
    const real = await realpath(toBytes(path), { encoding: 'buffer' })
    return real.toString('latin1')
  } catch (error) {
    if (errno(error) === 'ENOENT') return path
    throw unreadable('resolve', path, error)
  }
}

function notText(location: BytePath): SeawallError {
  return new SeawallError('refused', {
    operation: 'back up tablespace',
    object: display(location),
    reason: 'its location is not valid UTF-8, which backup.json cannot hold',
    hint: 'Move the tablespace to a directory whose name is UTF-8.',
  })
}

function unreadable(operation: string, path: BytePath, cause: unknown): Error {
  return localIoError(
    operation,
    display(path),
    cause,
    "base-push must run as the server's user, who can read everything in the data directory and the tablespaces.",
  )
}
