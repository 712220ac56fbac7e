/**
 * PostgreSQL's own `backup_manifest` (documentation, "Backup Manifest Format"), which pg_verifybackup and
 * pg_combinebackup read. Produced a piece at a time.
 */
import { createHash } from 'node:crypto'
import { formatLsn, type Lsn } from '../core/lsn.ts'
import { toBytes, toText } from './byte-path.ts'
import type { FileEntry } from './files-list.ts'

export interface ManifestWalRange {
  readonly timeline: number
  readonly startLsn: Lsn
  readonly stopLsn: Lsn
}

export interface ManifestText {
  /** The next piece, with another file. */
  file(entry: FileEntry): string
  /** The last piece. */
  end(range: ManifestWalRange): string
}

/** The manifest of a server of this major version: the system identifier stands in it from 17 on. */
export function manifestText(major: number, systemIdentifier: string): ManifestText {
  const checksum = createHash('sha256')
  const hashed = (text: string): string => {
    checksum.update(text)
    return text
  }
  let pending = `{ "PostgreSQL-Backup-Manifest-Version": ${major >= 17 ? 2 : 1},\n`
  if (major >= 17) pending += `"System-Identifier": ${systemIdentifier},\n`
  pending += '"Files": ['
  let separator = '\n'
  return {
    file(entry) {
      const text = `${pending}${separator}${formatFile(entry)}`
      pending = ''
      separator = ',\n'
      return hashed(text)
    },
    end({ timeline, startLsn, stopLsn }) {
      const range = `{ "Timeline": ${timeline}, "Start-LSN": "${formatLsn(startLsn)}", "End-LSN": "${formatLsn(stopLsn)}" }`
      const text = hashed(`${pending}\n],\n"WAL-Ranges": [\n${range}\n],\n`)
      return `${text}"Manifest-Checksum": "${checksum.digest('hex')}"}\n`
    },
  }
}

function formatFile({ path, size, mtime, sha256 }: FileEntry): string {
  const text = toText(path)
  const name =
    text === undefined ? `"Encoded-Path": "${toBytes(path).toString('hex')}"` : `"Path": ${JSON.stringify(text)}`
  const modified = `${new Date(mtime * 1000).toISOString().slice(0, 19).replace('T', ' ')} GMT`
  return (
    `{ ${name}, "Size": ${size}, "Last-Modified": "${modified}", ` +
    `"Checksum-Algorithm": "SHA256", "Checksum": "${sha256}" }`
  )
}
