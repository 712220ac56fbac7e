/** Files that survive a power cut, and the names that they have until they are complete. */
import { randomBytes } from 'node:crypto'
import * as nodeFileSystem from 'node:fs/promises'
import { dirname } from 'node:path'

const temporaryPattern = /.\.[0-9a-f]{16}\.tmp$/

/** A name that nobody else uses, for what is to become `name` (a path or its last part): `<name>.<16 hex digits>.tmp`. */
export function temporaryName(name: string): string {
  return `${name}.${randomBytes(8).toString('hex')}.tmp`
}

/** Whether the last part of a path is such a name, and so holds nothing that is complete. */
export function isTemporaryName(name: string): boolean {
  return temporaryPattern.test(name)
}

/** Whether `name` is such a name for what is to become `final` (both the last part of a path). */
export function isTemporaryNameOf(final: string, name: string): boolean {
  return name.length === temporaryName(final).length && name.startsWith(`${final}.`) && isTemporaryName(name)
}

/** Makes the entries of a directory durable: what was created, renamed or removed in it. Throws what the system says. */
export async function fsyncDirectory(
  path: string,
  { open }: Pick<typeof nodeFileSystem, 'open'> = nodeFileSystem,
): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/**
 * Writes a file so that it has either its old content or all of the new one, whenever the machine stops; durable when
 * it returns. Its directory must exist. Throws what the system says, and leaves no temporary file then.
 * @param mode the permissions of the file, subject to the umask.
 */
export async function writeFileDurably(path: string, bytes: string | Uint8Array, mode: number): Promise<void> {
  const temporary = temporaryName(path)
  try {
    const file = await nodeFileSystem.open(temporary, 'wx', mode)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await nodeFileSystem.rename(temporary, path)
  } catch (error) {
    await nodeFileSystem.rm(temporary, { force: true })
    throw error
  }
  await fsyncDirectory(dirname(path))
}
