/**
 * `tablespace_map`: one line a tablespace, `<oid> <location>`, a backslash before each backslash, newline and carriage
 * return of the location (access/transam/xlog.c, do_pg_backup_start and read_tablespace_map).
 */
import { isAbsolute, resolve } from 'node:path'
import type { Tablespace } from '../core/backup-record.ts'

/** What a server wrote. A line that is none is left out. */
export function parseTablespaceMap(text: string): Tablespace[] {
  const tablespaces: Tablespace[] = []
  for (const [line] of text.matchAll(/(?:\\[\s\S]|[^\\\n])+/g)) {
    const match = /^(\d+) ([\s\S]+)$/.exec(line)
    if (match) tablespaces.push({ oid: Number(match[1]), location: match[2]!.replace(/\\([\s\S])/g, '$1') })
  }
  return tablespaces
}

/**
 * The same map with absolute locations, where links are relative: a server that starts on it makes links of them, in
 * another directory perhaps.
 * @param directory the pg_tblspc in which the links stand, a real path.
 */
export function absoluteTablespaceMap(text: string, directory: string): string {
  const tablespaces = parseTablespaceMap(text)
  if (tablespaces.every(({ location }) => isAbsolute(location))) return text
  return formatTablespaceMap(tablespaces.map(({ oid, location }) => ({ oid, location: resolve(directory, location) })))
}

export function formatTablespaceMap(tablespaces: readonly Tablespace[]): string {
  return tablespaces.map(({ oid, location }) => `${oid} ${location.replace(/[\\\n\r]/g, '\\$&')}\n`).join('')
}
