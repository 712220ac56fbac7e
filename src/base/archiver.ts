/** What the server says of its archiver, while a backup waits for its WAL. */
import { SeawallError } from '../core/errors.ts'
import type { Connection } from '../postgres/connection.ts'
import { type ArchiverState, readArchiverState, type ServerSettings } from '../postgres/settings.ts'

/** Undefined if the server has gone away: once the backup has ended on it, its WAL may arrive all the same. */
export async function archiverState(connection: Connection): Promise<ArchiverState | undefined> {
  try {
    return await readArchiverState(connection)
  } catch (error) {
    if (error instanceof SeawallError && error.code === 'postgres') return undefined
    throw error
  }
}

/** One line for an error. */
export async function describeArchiver(connection: Connection, { archiveMode }: ServerSettings): Promise<string> {
  const { failedCount, lastFailed, lastArchived } = await readArchiverState(connection)
  const facts = [`archive_mode is ${archiveMode}`]
  facts.push(lastArchived === undefined ? 'nothing was ever archived' : `the last archived file is ${lastArchived}`)
  if (lastFailed !== undefined) facts.push(`${failedCount} attempts have failed, the last one for ${lastFailed}`)
  return facts.join('; ')
}
