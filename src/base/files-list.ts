/**
 * `files.jsonl`: one line a member of the backup's tars, in their order. A file can be read alone: the frame at
 * `frameOffset` of its part, decompressed, holds its content from `offsetInFrame` on.
 */
import { SeawallError } from '../core/errors.ts'
import { type BytePath, reasonNotPlain, toBytes, toText } from './byte-path.ts'

export type FilesEntry = FileEntry | DirectoryEntry

interface Common {
  /** PostgreSQL's: below the data directory, `pg_tblspc/<oid>/PG_…` in a tablespace. */
  readonly path: BytePath
  /** Permission bits. */
  readonly mode: number
  /** Number of the part that holds it. */
  readonly part: number
}

export interface DirectoryEntry extends Common {
  readonly kind: 'directory'
}

export interface FileEntry extends Common {
  readonly kind: 'file'
  readonly size: number
  /** Seconds since 1970. */
  readonly mtime: number
  /** Of the content, lower-case hex. */
  readonly sha256: string
  /** Where its zstd frame begins in the part, and how long that is, in stored bytes. */
  readonly frameOffset: number
  readonly frameLength: number
  /** Where its content begins in the plain bytes of the frame. */
  readonly offsetInFrame: number
}

/** A line, with its end. A path that is not UTF-8 stands as hex in `encodedPath`. */
export function formatFilesLine(entry: FilesEntry): string {
  const { kind, path, mode, ...rest } = entry
  const text = toText(path)
  const line = {
    ...(text === undefined ? { encodedPath: toBytes(path).toString('hex') } : { path: text }),
    type: kind,
    mode: mode.toString(8).padStart(4, '0'),
    ...rest,
  }
  return `${JSON.stringify(line)}\n`
}

/** @param object names the list in errors. @throws SeawallError `corrupt` */
export function parseFilesLine(line: string, object: string): FilesEntry {
  const json = parseJson(line)
  const entry = json && entryOf(json)
  if (entry && reasonNotPlain(entry.path) === undefined) return entry
  throw new SeawallError('corrupt', {
    operation: 'read',
    object,
    reason: `it holds a line that describes no file: ${line.slice(0, 200)}`,
    hint: 'Restore the object from a copy of the archive, or use another backup.',
  })
}

function entryOf(json: Record<string, unknown>): FilesEntry | undefined {
  const path = pathOf(json)
  const mode = typeof json.mode === 'string' && /^[0-7]{4}$/.test(json.mode) ? Number.parseInt(json.mode, 8) : -1
  if (path === undefined || mode < 0 || !isCount(json.part)) return undefined
  if (json.type === 'directory') return { kind: 'directory', path, mode, part: json.part }
  const { size, mtime, sha256, part, frameOffset, frameLength, offsetInFrame } = json
  const valid =
    json.type === 'file' &&
    isCount(size) &&
    isCount(mtime) &&
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256) &&
    isCount(frameOffset) &&
    isCount(frameLength) &&
    isCount(offsetInFrame)
  if (!valid) return undefined
  return { kind: 'file', path, mode, part, size, mtime, sha256, frameOffset, frameLength, offsetInFrame }
}

function pathOf(json: Record<string, unknown>): BytePath | undefined {
  if (typeof json.path === 'string') return Buffer.from(json.path, 'utf8').toString('latin1')
  const { encodedPath } = json
  if (typeof encodedPath !== 'string' || !/^([0-9a-f]{2})+$/.test(encodedPath)) return undefined
  return Buffer.from(encodedPath, 'hex').toString('latin1')
}

function parseJson(line: string): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(line)
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
