/** What a directory holds, to compare before and after. */
import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** Every path below `directory` with what it is: type, mode and a hash of its content. */
export function snapshot(directory: string): Record<string, string> {
  const entries: Record<string, string> = {}
  for (const path of (readdirSync(directory, { recursive: true }) as string[]).sort()) {
    const full = join(directory, path)
    const status = lstatSync(full)
    const mode = (status.mode & 0o7777).toString(8)
    if (status.isFile()) entries[path] = `file ${mode} ${createHash('sha256').update(readFileSync(full)).digest('hex')}`
    else if (status.isSymbolicLink()) entries[path] = `link ${readlinkSync(full)}`
    else entries[path] = `${status.isDirectory() ? 'directory' : 'special'} ${mode}`
  }
  return entries
}

/** The regular files below `directory`, ascending. */
export function filesBelow(directory: string): string[] {
  return Object.entries(snapshot(directory))
    .filter(([, entry]) => entry.startsWith('file'))
    .map(([path]) => path)
}
