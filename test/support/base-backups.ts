/** Clusters that archive, their base backups, and restores of them, all by the launchers. */
import { join } from 'node:path'
import { createArchive, type TestArchive } from './archive.ts'
import { type Cluster, type CreateOptions, createCluster, openCluster, type Version } from './cluster.ts'
import type { Result } from './processes.ts'
import { temporaryDirectory } from './temporary.ts'

export interface PushedBackup {
  readonly id: string
  readonly systemIdentifier: string
  readonly timeline: number
  readonly startLsn: string
  readonly stopLsn: string
  readonly stoppedAt: string
  readonly files: number
  readonly bytes: number
  readonly storedBytes: number
}

export interface ArchivingCluster {
  readonly archive: TestArchive
  readonly cluster: Cluster
}

/** A running cluster whose archive_command is wal-push. */
export async function archivingCluster(options: CreateOptions = {}): Promise<ArchivingCluster> {
  const archive = createArchive()
  const settings = { ...archive.settings, ...options.settings }
  return { archive, cluster: await createCluster({ ...options, settings }) }
}

/** The arguments of base-push for this cluster. */
export function pushArguments(cluster: Cluster): string[] {
  return ['--pgdata', cluster.dataDirectory, '--dsn', cluster.dsn, '--fast-checkpoint']
}

/** Takes a backup; throws with what was said unless it is complete. */
export async function takeBackup(
  { archive, cluster }: ArchivingCluster,
  ...args: readonly string[]
): Promise<PushedBackup> {
  const result = await archive.call('base-push', [...pushArguments(cluster), '--json', ...args])
  if (result.code !== 0) throw new Error(`base-push ended with ${result.code}\n${result.stderr}`)
  return JSON.parse(result.stdout) as PushedBackup
}

/** Where the objects of a backup are. */
export function backupDirectory({ root }: TestArchive, backup: PushedBackup): string {
  return join(root, 'main', backup.systemIdentifier, 'base', backup.id)
}

/** A place for a restore that does not exist yet. */
export function newDirectory(name = 'restored'): string {
  return join(temporaryDirectory(), name)
}

/** Restores, and gives back the cluster, not started yet; throws with what was said unless it went well. */
export async function restoreBackup(
  archive: TestArchive,
  version: Version,
  args: readonly string[],
  directory = newDirectory(),
): Promise<{ readonly restored: Cluster; readonly result: Result }> {
  const result = await archive.call('base-fetch', [...args, directory])
  if (result.code !== 0) throw new Error(`base-fetch ended with ${result.code}\n${result.stderr}`)
  return { restored: openCluster({ version, dataDirectory: directory }), result }
}

/** The server's clock after everything that it has committed, as a target. */
export async function momentNow(cluster: Cluster): Promise<string> {
  return cluster.value<string>(
    `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') from pg_sleep(0.01)`,
  )
}

/** Commits something, so that recovery finds an end for a target time before, and waits until all WAL is archived. */
export async function archiveEverything(cluster: Cluster): Promise<void> {
  await cluster.query('create table if not exists later (n int)')
  await cluster.query('insert into later values (1)')
  await cluster.waitUntilArchived(await cluster.switchWal())
}
