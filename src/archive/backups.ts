/** The base backups in an archive. */
import type { ClusterLayout } from '../core/archive-layout.ts'
import { type BackupRecord, parseBackupRecord } from '../core/backup-record.ts'
import { SeawallError } from '../core/errors.ts'
import { readWhole } from '../storage/read-whole.ts'
import type { CallOptions, ObjectInfo, ReadableStorage } from '../storage/storage.ts'

/** Enough for a backup of a hundred thousand parts. */
const maxRecordSize = 64 * 1024 * 1024

/** What lies under one backup id. */
export interface ArchivedBackup {
  readonly id: string
  /** Everything below the backup's prefix, also objects that this version does not know. */
  readonly objects: readonly ObjectInfo[]
  /** What the backup is; undefined while `backup.json` does not exist, or cannot be read. */
  readonly record: BackupRecord | undefined
  /** Why `backup.json` cannot be read, if it exists. */
  readonly error: SeawallError | undefined
}

/**
 * Every backup, complete or not, ascending by id. A record that is damaged is reported in `error` and does not keep the
 * other backups from being found; a storage that fails throws.
 */
export async function listBackups(
  storage: ReadableStorage,
  layout: ClusterLayout,
  options?: CallOptions,
): Promise<ArchivedBackup[]> {
  const objectsById = new Map<string, ObjectInfo[]>()
  for await (const info of storage.list(layout.basePrefix, options)) {
    const id = info.key.slice(layout.basePrefix.length).split('/', 1)[0]!
    const objects = objectsById.get(id)
    if (objects) objects.push(info)
    else objectsById.set(id, [info])
  }
  const backups: ArchivedBackup[] = []
  for (const [id, objects] of objectsById) {
    const key = layout.backupRecord(id)
    const exists = objects.some((object) => object.key === key)
    const read = exists ? await readRecord(storage, layout, id, options) : { record: undefined, error: undefined }
    backups.push({ id, objects, ...read })
  }
  return backups
}

/** The names of stored files that a complete backup lacks, or that have another size than recorded. */
export function damagedFiles(layout: ClusterLayout, record: BackupRecord, objects: readonly ObjectInfo[]): string[] {
  const sizes = new Map(objects.map((object) => [object.key, object.size]))
  return [...record.parts, record.files, record.manifest]
    .filter((file) => sizes.get(layout.base(record.id) + file.name) !== file.size)
    .map((file) => file.name)
}

async function readRecord(
  storage: ReadableStorage,
  layout: ClusterLayout,
  id: string,
  options?: CallOptions,
): Promise<Pick<ArchivedBackup, 'record' | 'error'>> {
  const key = layout.backupRecord(id)
  try {
    const bytes = await readWhole(storage, key, maxRecordSize, options)
    if (!bytes) return { record: undefined, error: undefined }
    const record = parseBackupRecord(Buffer.from(bytes).toString('utf8'), key)
    if (record.id !== id || record.systemIdentifier !== layout.systemIdentifier) {
      throw new SeawallError('corrupt', {
        operation: 'read',
        object: key,
        reason: `it describes backup ${record.id} of system identifier ${record.systemIdentifier}, which belongs elsewhere`,
        hint: 'The archive was changed by hand. Restore the object from a copy of the archive, or use another backup.',
      })
    }
    return { record, error: undefined }
  } catch (error) {
    if (error instanceof SeawallError && (error.code === 'corrupt' || error.code === 'newer-format')) {
      return { record: undefined, error }
    }
    throw error
  }
}
