/** What PostgreSQL's own base backup leaves out (backend/backup/basebackup.c), and a little more. */
import { type BytePath, nameOf, parentOf } from './byte-path.ts'

/** Directories of the data directory that are kept, but empty: the server removes or rebuilds their contents. */
const emptiedDirectories: ReadonlySet<BytePath> = new Set([
  'pg_dynshmem',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
])

/** Files of the data directory itself that are left out. */
const excludedFiles: ReadonlySet<BytePath> = new Set([
  'postgresql.auto.conf.tmp',
  'current_logfiles.tmp',
  'backup_label',
  'tablespace_map',
  'backup_manifest',
  'postmaster.pid',
  'postmaster.opts',
  // Left over from an earlier restore, either would start archive recovery again.
  'recovery.signal',
  'standby.signal',
])

const relation = /^(\d+)(?:_(fsm|vm|init))?(?:\.\d+)?$/
const temporaryRelation = /^t\d+_\d+(?:_(?:fsm|vm|init))?(?:\.\d+)?$/
const databaseDirectory = /^(?:base|pg_tblspc\/\d+\/PG_\d+_\d+)\/\d+$/

/** Whether the contents of this directory (a path below the data directory) are left out. */
export function isEmptied(path: BytePath): boolean {
  return emptiedDirectories.has(path)
}

/**
 * Whether a file or directory is left out by its name.
 * @param path below the data directory, or `pg_tblspc/<oid>/…` in a tablespace.
 */
export function isExcluded(path: BytePath): boolean {
  const name = nameOf(path)
  return (
    name.startsWith('pgsql_tmp') ||
    name.startsWith('pg_internal.init') ||
    name === 'pg_filenode.map.tmp' ||
    excludedFiles.has(path)
  )
}

/** Whether a directory holds the relations of a database. */
export function isDatabaseDirectory(path: BytePath): boolean {
  return databaseDirectory.test(path)
}

/**
 * Whether a file in a database directory belongs to a temporary relation, or to an unlogged one (which has an init fork
 * beside it, which alone is kept: the server makes the others of it).
 * @param siblings the names in the same directory.
 */
export function isTransientRelation(name: BytePath, siblings: ReadonlySet<BytePath>): boolean {
  if (temporaryRelation.test(name)) return true
  const match = relation.exec(name)
  return match !== null && match[2] !== 'init' && siblings.has(`${match[1]}_init`)
}

/**
 * Whether a file must be there, whole, when it is read. Others may vanish or shrink while the server works: WAL replay
 * brings back what is missing.
 */
export function mustBeWhole(path: BytePath): boolean {
  const name = nameOf(path)
  if (name === 'PG_VERSION' || name === 'pg_filenode.map') return true
  return parentOf(path) === 'global' && !relation.test(name)
}
