/** Restores a base backup so that a server started on it recovers to a target. */
import { listBackups } from '../archive/backups.ts'
import { requireClusterRecord } from '../archive/cluster-record.ts'
import { readTimelines } from '../archive/timelines.ts'
import { listWal } from '../archive/wal-inventory.ts'
import type { Codec } from '../codec/codec.ts'
import type { ClusterLayout } from '../core/archive-layout.ts'
import { formatBytes } from '../core/bytes.ts'
import type { ReadableStorage } from '../storage/storage.ts'
import { type ProgressOutput, reportProgress } from './progress.ts'
import {
  formatRestoreCommand,
  type RecoverySettings,
  type RestoreCommand,
  rewriteAutoConf,
  signalFile,
} from './recovery-settings.ts'
import { restoreBackup } from './restore.ts'
import { type Selection, selectBackup } from './select.ts'
import { mapTablespaces, type RestoredTablespace, requireApart } from './tablespaces.ts'
import { describeTarget, type RecoveryTarget, type TargetTimeline } from './target.ts'
import { prepareDirectory, requireEmpty } from './target-directory.ts'
import { WalMap } from './wal-map.ts'

export interface FetchOptions extends ProgressOutput {
  readonly storage: ReadableStorage
  readonly codec: Codec
  readonly layout: ClusterLayout
  /** An id, `latest`, or undefined to choose by the target. */
  readonly backup: string | undefined
  /** Absolute. */
  readonly directory: string
  readonly target: RecoveryTarget
  readonly targetTimeline: TargetTimeline | undefined
  readonly targetAction: RecoverySettings['targetAction']
  readonly standby: boolean
  readonly keepArchiving: boolean
  /** `OLD=NEW` */
  readonly tablespaces: readonly string[]
  readonly restoreCommand: RestoreCommand
  readonly signal: AbortSignal
  readonly progressed: () => void
}

export interface Fetched extends Selection {
  /** A real path. */
  readonly directory: string
  /** By their real paths. */
  readonly tablespaces: readonly RestoredTablespace[]
  readonly settings: RecoverySettings
}

/** @throws SeawallError; a directory that was begun then has no pg_control, so that no server starts on it. */
export async function fetchBackup(options: FetchOptions): Promise<Fetched> {
  const { storage, codec, layout, log, target, signal, progressed } = options
  const calls = { signal, onProgress: progressed }
  await requireEmpty(options.directory, 'Give another directory, or empty this one, if nothing in it is needed.')
  const { walSegmentSize } = await requireClusterRecord(storage, layout, calls)
  const backups = await listBackups(storage, layout, calls)
  const timelines = await readTimelines(storage, codec, layout, calls)
  const wal = await WalMap.of(listWal(storage, layout, calls), walSegmentSize)
  const selection = selectBackup({ ...options, backups, timelines, wal })
  for (const warning of selection.warnings) log.warn(warning)
  const { record } = selection

  const mapped = mapTablespaces(record.tablespaces, options.tablespaces, options.directory)
  for (const { location, directory } of mapped) {
    await requireEmpty(directory, `Give the tablespace another directory with --tablespace ${location}=NEW.`)
  }
  log.info(`restoring backup ${record.id} (${formatBytes(record.totalSize)}) for ${describeTarget(target)}`)
  const settings: RecoverySettings = {
    target,
    targetAction: options.targetAction,
    targetTimeline: selection.timelineSetting,
    standby: options.standby,
    keepArchiving: options.keepArchiving,
    restoreCommand: formatRestoreCommand(options.restoreCommand),
  }
  const progress = reportProgress('restored', options)
  progress.expect(record.totalSize)
  const directory = await prepareDirectory(options.directory, options)
  const tablespaces: RestoredTablespace[] = []
  for (const tablespace of mapped) {
    tablespaces.push({ ...tablespace, directory: await prepareDirectory(tablespace.directory, options) })
  }
  requireApart(tablespaces, directory)
  try {
    await restoreBackup({
      source: { storage, codec, prefix: layout.base(record.id), calls },
      record,
      directory,
      tablespaces,
      rewriteAutoConf: (text) => rewriteAutoConf(text, settings),
      signalFile: signalFile(settings),
      signal,
      progressed,
      progress,
    })
    return { ...selection, directory, tablespaces, settings }
  } catch (error) {
    const places = [directory, ...tablespaces.map((tablespace) => tablespace.directory)].join(', ')
    log.error(
      `${directory} is incomplete: it has no global/pg_control, so that no server starts on it. ` +
        `Empty ${places} and run base-fetch again`,
    )
    throw error
  } finally {
    progress.end()
  }
}
