/** `backup.json`: what a base backup is. Written last, so that its existence makes the backup complete. */
import { FORMAT_VERSION, isBackupId, isSystemIdentifier } from './archive-layout.ts'
import { corruptRecord, isObject, newerFormat, parseObject } from './json-record.ts'
import { formatLsn, type Lsn, parseLsn } from './lsn.ts'

export interface StoredFile {
  /** Name below the backup's prefix, such as `part-00001.tar.zst`. */
  readonly name: string
  /** Bytes as stored. */
  readonly size: number
  /** Of the stored bytes, lower-case hex. */
  readonly sha256: string
}

export interface BackupPart extends StoredFile {
  readonly number: number
  /** Oid of the tablespace whose files it holds, relative to its location; null for the data directory. */
  readonly tablespace: number | null
  /** Bytes of the tar. */
  readonly tarSize: number
}

export interface Tablespace {
  readonly oid: number
  /** Where it was on the server, absolute. */
  readonly location: string
}

export interface BackupRecord {
  readonly id: string
  readonly systemIdentifier: string
  /** `server_version`, such as `18.4`. */
  readonly postgresVersion: string
  /** `server_version_num`, such as 180004. */
  readonly postgresVersionNumber: number
  /** Timeline on which the backup began and ended. */
  readonly timeline: number
  readonly startLsn: Lsn
  readonly stopLsn: Lsn
  readonly startedAt: Date
  /** When the server ended the backup: a target must not be earlier. */
  readonly stoppedAt: Date
  /** Bytes. */
  readonly walSegmentSize: number
  readonly dataChecksums: boolean
  readonly tablespaces: readonly Tablespace[]
  /** Where the server had its data directory, and configuration files that lie outside it. */
  readonly dataDirectory: string
  readonly outsideFiles: readonly string[]
  readonly parts: readonly BackupPart[]
  readonly files: StoredFile
  readonly manifest: StoredFile
  /** Files and bytes of the cluster, before compression. */
  readonly fileCount: number
  readonly totalSize: number
}

export function formatBackupRecord(record: BackupRecord): string {
  const { id, startLsn, stopLsn, startedAt, stoppedAt, ...rest } = record
  const plain = {
    formatVersion: FORMAT_VERSION,
    id,
    startLsn: formatLsn(startLsn),
    stopLsn: formatLsn(stopLsn),
    startedAt: startedAt.toISOString(),
    stoppedAt: stoppedAt.toISOString(),
    ...rest,
  }
  return `${JSON.stringify(plain, null, 2)}\n`
}

/**
 * Parses and checks every field, because an archive is not trusted.
 * @param object names the record in errors.
 * @throws SeawallError `newer-format`, or `corrupt` with the field that is wrong.
 */
export function parseBackupRecord(text: string, object: string): BackupRecord {
  const json = parseObject(text, object)
  const bad = (field: string): never => {
    throw corruptRecord(object, `its field "${field}" is missing or has an impossible value`)
  }
  const formatVersion = json.formatVersion
  if (!isCount(formatVersion)) bad('formatVersion')
  if ((formatVersion as number) > FORMAT_VERSION) throw newerFormat(object, formatVersion as number)

  const text_ = (field: string) =>
    typeof json[field] === 'string' && json[field] !== '' ? (json[field] as string) : bad(field)
  const count = (field: string) => (isCount(json[field]) ? (json[field] as number) : bad(field))
  const lsn = (field: string) => parseLsn(text_(field)) ?? bad(field)
  const date = (field: string) => parseDate(text_(field)) ?? bad(field)
  const list = (field: string) => (Array.isArray(json[field]) ? (json[field] as unknown[]) : bad(field))

  const id = text_('id')
  if (!isBackupId(id)) bad('id')
  const systemIdentifier = text_('systemIdentifier')
  if (!isSystemIdentifier(systemIdentifier)) bad('systemIdentifier')
  if (typeof json.dataChecksums !== 'boolean') bad('dataChecksums')
  const record: BackupRecord = {
    id,
    systemIdentifier,
    postgresVersion: text_('postgresVersion'),
    postgresVersionNumber: count('postgresVersionNumber'),
    timeline: count('timeline'),
    startLsn: lsn('startLsn'),
    stopLsn: lsn('stopLsn'),
    startedAt: date('startedAt'),
    stoppedAt: date('stoppedAt'),
    walSegmentSize: count('walSegmentSize'),
    dataChecksums: json.dataChecksums as boolean,
    tablespaces: list('tablespaces').map((entry) => (isTablespace(entry) ? entry : bad('tablespaces'))),
    dataDirectory: text_('dataDirectory'),
    outsideFiles: list('outsideFiles').map((entry) => (typeof entry === 'string' ? entry : bad('outsideFiles'))),
    parts: list('parts').map((entry, index) => (isPart(entry, index + 1) ? entry : bad('parts'))),
    files: isStoredFile(json.files, 'files.jsonl.zst') ? json.files : bad('files'),
    manifest: isStoredFile(json.manifest, 'backup_manifest.zst') ? json.manifest : bad('manifest'),
    fileCount: count('fileCount'),
    totalSize: count('totalSize'),
  }
  if (record.stopLsn < record.startLsn) bad('stopLsn')
  return record
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isStoredFile(value: unknown, name: string): value is StoredFile {
  return isObject(value) && value.name === name && isCount(value.size) && /^[0-9a-f]{64}$/.test(String(value.sha256))
}

function isPart(value: unknown, number: number): value is BackupPart {
  return (
    isStoredFile(value, `part-${String(number).padStart(5, '0')}.tar.zst`) &&
    isObject(value) &&
    value.number === number &&
    (value.tablespace === null || isCount(value.tablespace)) &&
    isCount(value.tarSize)
  )
}

function isTablespace(value: unknown): value is Tablespace {
  return isObject(value) && isCount(value.oid) && typeof value.location === 'string' && value.location.startsWith('/')
}

function parseDate(text: string): Date | undefined {
  const date = new Date(text)
  return Number.isNaN(date.getTime()) || date.toISOString() !== text ? undefined : date
}
