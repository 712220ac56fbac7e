/** Where the tablespaces of a backup are restored to. */
import path from 'node:path'
import type { Tablespace } from '../core/backup-record.ts'
import { SeawallError } from '../core/errors.ts'

export interface RestoredTablespace extends Tablespace {
  /** Where its files go, absolute. */
  readonly directory: string
}

/**
 * @param mappings of `--tablespace`: `OLD=NEW`; an `=` in a path is written `\=`.
 * @param directory of the restored cluster, absolute.
 * @throws SeawallError `usage` for a mapping that is none, `refused` if directories would lie in one another.
 */
export function mapTablespaces(
  tablespaces: readonly Tablespace[],
  mappings: readonly string[],
  directory: string,
): RestoredTablespace[] {
  const targets = new Map<string, string>()
  for (const mapping of mappings) {
    const [from, to] = parseMapping(mapping)
    if (!tablespaces.some(({ location }) => path.resolve(location) === from)) {
      const known = tablespaces.map(({ location }) => location).join(', ')
      throw usage(mapping, `the backup has no tablespace at ${from}`, `Its tablespaces: ${known || 'none'}.`)
    }
    if (targets.has(from)) throw usage(mapping, `${from} is mapped twice`, 'Give each tablespace one new directory.')
    targets.set(from, to)
  }
  const restored = tablespaces.map((tablespace) => {
    const location = path.resolve(tablespace.location)
    return { ...tablespace, directory: targets.get(location) ?? location }
  })
  requireApart(restored, directory)
  return restored
}

/** Two places are apart if neither is, or lies in, the other. */
export function areApart(one: string, other: string): boolean {
  const within = (inner: string, outer: string) =>
    inner === outer || inner.startsWith(outer === '/' ? '/' : `${outer}/`)
  return !within(one, other) && !within(other, one)
}

/** @throws SeawallError `refused` unless the data directory and the tablespaces have separate places. */
export function requireApart(tablespaces: readonly RestoredTablespace[], directory: string): void {
  for (const [index, tablespace] of tablespaces.entries()) {
    const others = [directory, ...tablespaces.slice(0, index).map((other) => other.directory)]
    const clash = others.find((other) => !areApart(tablespace.directory, other))
    if (clash === undefined) continue
    throw new SeawallError('refused', {
      operation: 'restore tablespace',
      object: tablespace.location,
      reason: `its directory ${tablespace.directory} and ${clash} are the same or lie in one another`,
      hint: 'Give each tablespace a directory of its own, outside of the data directory, with --tablespace OLD=NEW.',
    })
  }
}

function parseMapping(mapping: string): [string, string] {
  const sides = mapping.split(/(?<!\\)=/).map((side) => side.replaceAll('\\=', '='))
  const [from, to] = sides
  if (sides.length !== 2 || !from || !to) {
    throw usage(mapping, 'it is not of the form OLD=NEW', 'Write an "=" that belongs to a path as "\\=".')
  }
  if (!path.isAbsolute(from) || !path.isAbsolute(to)) {
    throw usage(mapping, 'both directories must be absolute', 'Write it like /old/place=/new/place.')
  }
  return [path.resolve(from), path.resolve(to)]
}

function usage(mapping: string, reason: string, hint: string): SeawallError {
  return new SeawallError('usage', { operation: 'use', object: `--tablespace ${mapping}`, reason, hint })
}
