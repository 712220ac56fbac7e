/** The databases of a server, and where each one has its files. */
import type { Connection } from './connection.ts'

export interface Database {
  readonly oid: number
  /** Oid of its default tablespace, in which it has its PG_VERSION; undefined for pg_default: the directory `base`. */
  readonly tablespace: number | undefined
}

/** DEFAULTTABLESPACE_OID (catalog/pg_tablespace.dat). */
const pgDefault = 1663
/** DATCONNLIMIT_INVALID_DB (catalog/pg_database.h): its removal was interrupted. */
const invalid = -2

/** Those that exist for the server, without any whose removal was interrupted. @throws SeawallError `postgres` */
export async function readDatabases(connection: Connection): Promise<Database[]> {
  const rows = await connection.query<{ oid: string; tablespace: string }>(
    'select oid::bigint as oid, dattablespace::bigint as tablespace from pg_database where datconnlimit <> $1 order by oid',
    [invalid],
  )
  return rows.map(({ oid, tablespace }) => ({
    oid: Number(oid),
    tablespace: Number(tablespace) === pgDefault ? undefined : Number(tablespace),
  }))
}
