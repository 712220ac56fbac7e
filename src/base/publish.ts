/** The last step of a base backup: `backup.json`, which makes it complete. */
import { damagedFiles } from '../archive/backups.ts'
import type { ClusterLayout } from '../core/archive-layout.ts'
import { type BackupRecord, formatBackupRecord, parseBackupRecord } from '../core/backup-record.ts'
import { SeawallError } from '../core/errors.ts'
import type { CallOptions, Storage } from '../storage/storage.ts'

export interface PublishOptions extends CallOptions {
  /** Called when from now on there may be a `backup.json`, which the caller must remove if this throws. */
  readonly onPublishing: () => void
}

/**
 * Looks at everything before, because somebody may have removed it for a leftover, and after, because a wal-prune that saw
 * no backup.json may have been at it.
 * @throws SeawallError `archive-io` if an object is missing, `conflict` if there is such a record, `corrupt` if no reader
 * would understand it.
 */
export async function publishRecord(
  storage: Storage,
  layout: ClusterLayout,
  record: BackupRecord,
  { onPublishing, ...calls }: PublishOptions,
): Promise<void> {
  const key = layout.backupRecord(record.id)
  const text = formatBackupRecord(record)
  parseBackupRecord(text, key)
  await requireStored(storage, layout, record, calls)
  onPublishing()
  const outcome = await storage.putIfAbsent(key, [Buffer.from(text, 'utf8')], calls)
  if (outcome !== 'created') {
    throw new SeawallError('conflict', {
      operation: 'write',
      object: key,
      reason: 'it exists already',
      hint: 'Run base-push again.',
    })
  }
  await requireStored(storage, layout, record, calls)
}

async function requireStored(
  storage: Storage,
  layout: ClusterLayout,
  record: BackupRecord,
  calls: CallOptions,
): Promise<void> {
  const objects = []
  for await (const object of storage.list(layout.base(record.id), calls)) objects.push(object)
  const damaged = damagedFiles(layout, record, objects)
  if (damaged.length === 0) return
  throw new SeawallError('archive-io', {
    operation: 'complete the backup',
    object: layout.base(record.id),
    reason: `${damaged[0]} is not in ${storage.url} any more, or has another size than was written`,
    hint: 'Find out who else changes the archive, and take the backup again.',
  })
}
