/** Where the server programs (`postgres`, `initdb`, `pg_ctl`) of each version are. */
import { cpSync, existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { giveToServersUser, serversUserCanRead } from '../servers-user.ts'
import { temporaryDirectory } from '../temporary.ts'

export const MAJORS = [13, 14, 15, 16, 17, 18] as const

/** A major from npm, or the PostgreSQL 15 that Debian installs. */
export type Version = (typeof MAJORS)[number] | 'debian15'

export function majorOf(version: Version): number {
  return version === 'debian15' ? 15 : version
}

const debian = '/usr/lib/postgresql/15/bin'

/** Whether Debian's PostgreSQL 15 is on this machine. */
export function hasDebian15(): boolean {
  return existsSync(join(debian, 'initdb'))
}

const readable = new Map<Version, string>()

/** The directory of the programs: where they are installed, or a copy if the servers' user cannot read that. */
export function programsOf(version: Version): string {
  if (version === 'debian15') return debian
  let native = readable.get(version)
  if (native === undefined) {
    native = join(dirname(fileURLToPath(import.meta.url)), `node_modules/postgres-${version}/native`)
    if (!existsSync(join(native, 'bin/postgres'))) {
      throw new Error(`PostgreSQL ${version} is not installed: run test/support/postgres/install.ts ${version}`)
    }
    if (!serversUserCanRead(join(native, 'bin'))) {
      const copy = join(temporaryDirectory(), 'postgres')
      cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
      giveToServersUser(copy)
      native = copy
    }
    readable.set(version, native)
  }
  return join(native, 'bin')
}
