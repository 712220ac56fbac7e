/**
 * Archive layout, version 1: every key that is written, and the way back from a key to what it is.
 *
 *     <cluster>/<system identifier>/cluster.json
 *                                  /wal/<16 hex>/<segment>.zst
 *                                  /wal/<16 hex>/<segment>.partial.<16 hex of the SHA-256>.zst
 *                                  /wal/<16 hex>/<segment>.<offset>.backup.zst
 *                                  /wal/history/<timeline>.history.zst
 *                                  /base/<id>/part-00001.tar.zst …
 *                                  /base/<id>/backup_manifest.zst
 *                                  /base/<id>/files.jsonl.zst
 *                                  /base/<id>/backup.json
 */
import { parseWalFileName, timelineDigits, type WalFile } from './wal-names.ts'

/** Version of the layout and of everything in it; a reader refuses a higher one. */
export const FORMAT_VERSION = 1

/** What an object below `<cluster>/<system identifier>/` is. */
export type ArchiveObject =
  | { readonly kind: 'cluster' }
  | { readonly kind: 'wal'; readonly file: WalFile }
  | { readonly kind: 'base'; readonly id: string; readonly member: BaseMember }

export type BaseMember =
  | { readonly kind: 'part'; readonly number: number }
  | { readonly kind: 'manifest' | 'files' | 'record' }

const clusterNamePattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/
const systemIdentifierPattern = /^[1-9][0-9]{0,19}$/
const backupIdPattern = /^\d{8}T\d{6}Z_[0-9A-F]{24}$/

export function isClusterName(text: string): boolean {
  return clusterNamePattern.test(text)
}

export function isSystemIdentifier(text: string): boolean {
  return systemIdentifierPattern.test(text) && BigInt(text) < 1n << 64n
}

export function isBackupId(text: string): boolean {
  return backupIdPattern.test(text)
}

/** `20261122T031500Z_<start segment>`. */
export function backupId(startedAt: Date, startSegment: string): string {
  return `${startedAt.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z_${startSegment}`
}

/** The segment in which the backup of this id begins. */
export function startSegmentOf(id: string): string {
  return id.slice(17, 41)
}

/** `<cluster>/`: below it, one directory a system identifier. */
export function clusterDirectory(cluster: string): string {
  return `${cluster}/`
}

/** The keys of one cluster of one system identifier. */
export class ClusterLayout {
  readonly cluster: string
  readonly systemIdentifier: string
  /** `<cluster>/<system identifier>/` */
  readonly prefix: string

  constructor(cluster: string, systemIdentifier: string) {
    if (!isClusterName(cluster) || !isSystemIdentifier(systemIdentifier)) {
      throw new TypeError(`not a cluster's place in an archive: ${cluster}/${systemIdentifier}`)
    }
    this.cluster = cluster
    this.systemIdentifier = systemIdentifier
    this.prefix = `${cluster}/${systemIdentifier}/`
  }

  get record(): string {
    return `${this.prefix}cluster.json`
  }

  get walPrefix(): string {
    return `${this.prefix}wal/`
  }

  get historyPrefix(): string {
    return `${this.prefix}wal/history/`
  }

  get basePrefix(): string {
    return `${this.prefix}base/`
  }

  /**
   * @param sha256 of the plain bytes, lower-case hex; part of the name of a `.partial`, of which two may differ and
   * are both kept.
   */
  wal(file: WalFile, sha256: string): string {
    if (file.kind === 'history') return `${this.historyPrefix}${file.name}.zst`
    if (file.kind === 'partial') return `${this.partialPrefix(file.segment)}${sha256.slice(0, 16)}.zst`
    return `${this.walDirectory(file.segment)}${file.name}.zst`
  }

  /** The key of a whole segment. */
  segment(segment: string): string {
    return `${this.walDirectory(segment)}${segment}.zst`
  }

  history(timeline: number): string {
    return `${this.historyPrefix}${timelineDigits(timeline)}.history.zst`
  }

  /** What the keys of all `.partial` files of a segment start with (not a directory). */
  partialPrefix(segment: string): string {
    return `${this.walDirectory(segment)}${segment}.partial.`
  }

  /** `wal/<timeline and log number>/`: the directory that holds a segment. */
  walDirectory(segment: string): string {
    return `${this.walPrefix}${segment.slice(0, 16)}/`
  }

  base(id: string): string {
    return `${this.basePrefix}${id}/`
  }

  part(id: string, number: number): string {
    return `${this.base(id)}part-${String(number).padStart(5, '0')}.tar.zst`
  }

  manifest(id: string): string {
    return `${this.base(id)}backup_manifest.zst`
  }

  files(id: string): string {
    return `${this.base(id)}files.jsonl.zst`
  }

  backupRecord(id: string): string {
    return `${this.base(id)}backup.json`
  }

  /** What the object under a key is; undefined for one that this version does not know. */
  parse(key: string): ArchiveObject | undefined {
    if (!key.startsWith(this.prefix)) return undefined
    const path = key.slice(this.prefix.length)
    if (path === 'cluster.json') return { kind: 'cluster' }
    const [top, directory, name, ...rest] = path.split('/')
    if (directory === undefined || name === undefined || rest.length > 0) return undefined
    if (top === 'wal') {
      const file = parseStoredWalName(name)
      return file && (file.kind === 'history' ? 'history' : file.segment.slice(0, 16)) === directory
        ? { kind: 'wal', file }
        : undefined
    }
    if (top !== 'base' || !isBackupId(directory)) return undefined
    const member = parseBaseMember(name)
    return member && { kind: 'base', id: directory, member }
  }
}

function parseStoredWalName(name: string): WalFile | undefined {
  const plain = /^(.*)\.zst$/.exec(name)?.[1]
  if (plain === undefined) return undefined
  const partial = /^([0-9A-F]{24}\.partial)\.[0-9a-f]{16}$/.exec(plain)
  const file = parseWalFileName(partial ? partial[1]! : plain)
  return file && (file.kind === 'partial') === (partial !== null) ? file : undefined
}

function parseBaseMember(name: string): BaseMember | undefined {
  if (name === 'backup.json') return { kind: 'record' }
  if (name === 'backup_manifest.zst') return { kind: 'manifest' }
  if (name === 'files.jsonl.zst') return { kind: 'files' }
  const part = /^part-(\d{5,})\.tar\.zst$/.exec(name)
  return part ? { kind: 'part', number: Number(part[1]) } : undefined
}
