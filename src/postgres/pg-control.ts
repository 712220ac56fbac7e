/**
 * `global/pg_control`: what a data directory says about itself (ControlFileData, catalog/pg_control.h), PostgreSQL 13 to
 * 18. Little-endian, as on every platform that this program supports.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, systemClock } from '../core/clock.ts'
import { errno, localIoError, SeawallError } from '../core/errors.ts'
import type { Lsn } from '../core/lsn.ts'

/** DBState, in the words of pg_controldata. */
const states = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
] as const

export type ControlState = (typeof states)[number]

export type ControlFile = KnownControlFile | UnknownControlFile

export interface KnownControlFile {
  readonly known: true
  /** PG_CONTROL_VERSION: 1300 (PostgreSQL 13 to 16), 1700, 1800. */
  readonly controlVersion: number
  /** Decimal, unsigned. */
  readonly systemIdentifier: string
  readonly state: ControlState
  /** Where replay would begin from the latest checkpoint (or restartpoint). */
  readonly checkpointRedo: Lsn
  /** Bytes. */
  readonly walSegmentSize: number
}

/** Of a newer PostgreSQL: the identifier has always been the first field, the rest may stand anywhere. */
export interface UnknownControlFile {
  readonly known: false
  readonly controlVersion: number
  readonly systemIdentifier: string
}

/** Offset of the CRC by control version; the fields that are read here stand at the same offsets in all of them. */
const crcOffsets: ReadonlyMap<number, number> = new Map([
  [1300, 288],
  [1700, 288],
  [1800, 292],
])
const newestKnown = Math.max(...crcOffsets.keys())

/** PostgreSQL reads and writes the file in one piece of at most a disk sector. */
const leastSize = 512

const tornReads = 20
const tornReadPause = 10

/**
 * Reads and checks the control file of a data directory, which a server may be writing meanwhile: a wrong CRC is read
 * again for a while before it is believed.
 * @throws SeawallError `refused` if there is none or it is none, `local-io` if it cannot be read.
 */
export async function readControlFile(dataDirectory: string, clock: Clock = systemClock): Promise<ControlFile> {
  const path = join(dataDirectory, 'global/pg_control')
  for (let attempt = 1; ; attempt++) {
    const control = parseControlFile(await readBytes(path), path)
    if (control) return control
    if (attempt === tornReads) {
      throw refused(path, 'its checksum is wrong', 'Look at the directory with pg_controldata: it may be damaged.')
    }
    await clock.sleep(tornReadPause)
  }
}

/**
 * @param path names the file in errors.
 * @returns undefined if the CRC is wrong: the file is damaged, or was being written.
 * @throws SeawallError `refused` if it is no control file of a PostgreSQL that this program supports.
 */
export function parseControlFile(bytes: Uint8Array, path: string): ControlFile | undefined {
  if (bytes.length < leastSize) {
    throw refused(path, `it has ${bytes.length} bytes`, 'This is not the control file of a PostgreSQL data directory.')
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const systemIdentifier = view.getBigUint64(0, true).toString()
  const controlVersion = view.getUint32(8, true)
  const crcOffset = crcOffsets.get(controlVersion)
  if (crcOffset === undefined) {
    // A newer version counts on from here; anything else that far off is another byte order, or no control file.
    if (controlVersion > newestKnown && controlVersion < 10 * newestKnown) {
      return { known: false, controlVersion, systemIdentifier }
    }
    throw refused(
      path,
      `its version is ${controlVersion}`,
      'Use the data directory of PostgreSQL 13 or later, on a machine of the byte order it was made on.',
    )
  }
  if (crc32c(bytes.subarray(0, crcOffset)) !== view.getUint32(crcOffset, true)) return undefined
  const state = states[view.getUint32(16, true)]
  if (state === undefined) throw refused(path, 'its state is unknown', 'Look at the directory with pg_controldata.')
  return {
    known: true,
    controlVersion,
    systemIdentifier,
    state,
    checkpointRedo: view.getBigUint64(40, true),
    walSegmentSize: view.getUint32(228, true),
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    if (errno(cause) === 'ENOENT' || errno(cause) === 'ENOTDIR') {
      throw refused(path, 'there is no such file', "Name PostgreSQL's data directory with --pgdata.")
    }
    throw localIoError('read', path, cause, 'Run this as the user of the PostgreSQL server.')
  }
}

function refused(object: string, reason: string, hint: string): SeawallError {
  return new SeawallError('refused', { operation: 'read', object, reason, hint })
}

/** CRC-32C (Castagnoli), as COMP_CRC32C of PostgreSQL; a bit at a time is fast enough for 292 bytes. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0x82f6_3b78 : 0)
  }
  return ~crc >>> 0
}
