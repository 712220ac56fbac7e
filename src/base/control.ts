/** The bytes of `global/pg_control`, read while the server may be writing them. */
import { open } from 'node:fs/promises'
import type { Clock } from '../core/clock.ts'
import { localIoError, SeawallError } from '../core/errors.ts'
import { parseControlFile } from '../postgres/pg-control.ts'
import { type BytePath, display, join, toBytes } from './byte-path.ts'
import type { MemoryFile } from './part.ts'
import { factsOf } from './scan.ts'

export const CONTROL_FILE = 'global/pg_control'

/** PG_CONTROL_FILE_SIZE is 8192; what is larger is no control file. */
export const MAX_CONTROL_SIZE = 64 * 1024

const attempts = 50
const pause = 20

/** Reads the file until its CRC is right. @throws SeawallError */
export async function readControlBytes(dataDirectory: BytePath, clock: Clock): Promise<MemoryFile> {
  const path = join(dataDirectory, CONTROL_FILE)
  for (let attempt = 1; ; attempt++) {
    const file = await readOnce(path)
    const control = parseControlFile(file.content, display(path))
    if (control?.known === false) {
      throw new SeawallError('refused', {
        operation: 'back up',
        object: display(path),
        reason: `it is of version ${control.controlVersion}, whose checksum this program cannot check`,
        hint: 'Use a version of this program that knows this PostgreSQL.',
      })
    }
    if (control) return file
    if (attempt === attempts) {
      throw new SeawallError('refused', {
        operation: 'back up',
        object: display(path),
        reason: `its checksum was wrong each of ${attempts} times that it was read`,
        hint: 'Look at the directory with pg_controldata, and check the disk.',
      })
    }
    await clock.sleep(pause)
  }
}

/** `catalog_version_no`: part of the name of the directory that a server has in a tablespace. */
export function catalogVersionOf(control: MemoryFile): number {
  const { content } = control
  return new DataView(content.buffer, content.byteOffset, content.byteLength).getUint32(12, true)
}

async function readOnce(path: BytePath): Promise<MemoryFile> {
  try {
    const handle = await open(toBytes(path))
    try {
      const { mode, mtime, uid, gid } = factsOf(await handle.stat())
      return { path: CONTROL_FILE, content: await handle.readFile(), mode, mtime, uid, gid }
    } finally {
      await handle.close()
    }
  } catch (cause) {
    throw localIoError('back up', display(path), cause, "base-push must run as the server's user.")
  }
}
