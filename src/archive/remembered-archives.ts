/**
 * What this machine remembers of archives, outside of them: that they were used. An archive that was used and is now
 * empty is most likely not mounted, and must not be taken for a new one.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { access, mkdir, stat } from 'node:fs/promises'
import path from 'node:path'
import type { ClusterLayout } from '../core/archive-layout.ts'
import { writeFileDurably } from '../core/durable-file.ts'
import { errno, localIoError, SeawallError } from '../core/errors.ts'

export interface RememberedArchives {
  /** The directory that is used, absolute. */
  readonly directory: string
  /** Whether this cluster's place in this archive was used before. @throws SeawallError if that cannot be told */
  has(archiveUrl: string, layout: ClusterLayout): Promise<boolean>
  /** Makes the directory, so that what follows can be remembered. @throws SeawallError `local-io` */
  prepare(): Promise<void>
  /** Remembers, durably. @throws SeawallError `local-io` */
  add(archiveUrl: string, layout: ClusterLayout): Promise<void>
}

export interface StateDirectoryChoice {
  /** `--state-dir`. */
  readonly configured: string | undefined
  /** `$XDG_STATE_HOME`. */
  readonly stateHome: string | undefined
  /** Asked only where nothing else decides: not every user has one. */
  readonly home: () => string
  readonly uid: number | undefined
}

const systemDirectory = '/var/lib/seawall'
const hint = 'Give a directory that this user can write, outside the data directory, with --state-dir.'

/**
 * Chooses the directory: the configured one; else /var/lib/seawall if it can be written (or made, by root); else
 * `$XDG_STATE_HOME/seawall` or `~/.local/state/seawall`.
 */
export async function openRememberedArchives(choice: StateDirectoryChoice): Promise<RememberedArchives> {
  const directory = await chooseDirectory(choice)
  const places = new Set([directory, ...placesOf(choice)])
  return {
    directory,
    async has(archiveUrl, layout) {
      for (const place of places) {
        if (await isThere(fileFor(place, archiveUrl, layout), place === directory)) return true
      }
      return false
    },
    async prepare() {
      const archives = path.join(directory, 'archives')
      try {
        await makeDirectories(archives)
        await access(archives, constants.W_OK | constants.X_OK)
      } catch (cause) {
        throw localIoError('write the state directory', archives, cause, hint)
      }
    },
    async add(archiveUrl, layout) {
      const file = fileFor(directory, archiveUrl, layout)
      const text = `${JSON.stringify({ archive: archiveUrl, cluster: layout.cluster, systemIdentifier: layout.systemIdentifier })}\n`
      try {
        await writeFileDurably(file, Buffer.from(text), 0o600)
      } catch (cause) {
        throw cause instanceof SeawallError ? cause : localIoError('write', file, cause, hint)
      }
    },
  }
}

async function chooseDirectory(choice: StateDirectoryChoice): Promise<string> {
  if (choice.configured !== undefined) return path.resolve(choice.configured)
  if (choice.uid === 0) return systemDirectory
  try {
    await access(systemDirectory, constants.W_OK | constants.X_OK)
    return systemDirectory
  } catch {
    // Not this user's to write, or not there: the next place in line is the documented one.
    return userDirectory(choice)
  }
}

/** Where something may be remembered, too, since the choice depends on what exists: both places, unless one was named. */
function placesOf(choice: StateDirectoryChoice): string[] {
  if (choice.configured !== undefined) return []
  try {
    return [systemDirectory, userDirectory(choice)]
  } catch {
    // A user without a home directory has remembered nothing there.
    return [systemDirectory]
  }
}

function userDirectory({ stateHome, home }: StateDirectoryChoice): string {
  return path.join(stateHome ?? path.join(homeDirectory(home), '.local', 'state'), 'seawall')
}

function fileFor(directory: string, archiveUrl: string, layout: ClusterLayout): string {
  const hash = createHash('sha256').update(`${archiveUrl}\n${layout.prefix}`).digest('hex')
  return path.join(directory, 'archives', `${layout.cluster}-${layout.systemIdentifier}-${hash.slice(0, 16)}.json`)
}

/** @param own whether the place is the one in use, which must be readable; another one may be somebody else's. */
async function isThere(file: string, own: boolean): Promise<boolean> {
  try {
    await stat(file)
    return true
  } catch (cause) {
    if (errno(cause) === 'ENOENT' || !own) return false
    throw localIoError('tell from the state directory whether the archive was used before:', file, cause, hint)
  }
}

/** One by one: Node's own recursive mkdir never ends on a file system that says ENOENT where the parent exists. */
async function makeDirectories(directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 })
  } catch (error) {
    if (errno(error) === 'EEXIST') return
    const parent = path.dirname(directory)
    const parentIsMissing = errno(error) === 'ENOENT' && parent !== directory && !(await isThere(parent, false))
    if (!parentIsMissing) throw error
    await makeDirectories(parent)
    await mkdir(directory, { mode: 0o700 }).catch((raced) => {
      if (errno(raced) !== 'EEXIST') throw raced
    })
  }
}

function homeDirectory(home: () => string): string {
  try {
    return home()
  } catch (cause) {
    throw localIoError('find the home directory of', 'this user', cause, hint)
  }
}
