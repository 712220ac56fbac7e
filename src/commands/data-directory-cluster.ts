/** Which cluster a WAL file belongs to: by the data directory it is in, or by what the user says. */
import { layoutOf } from '../archive/find-cluster.ts'
import type { ClusterLayout } from '../core/archive-layout.ts'
import { SeawallError } from '../core/errors.ts'
import { findDataDirectory } from '../postgres/data-directory.ts'
import { type ControlFile, readControlFile } from '../postgres/pg-control.ts'
import type { OptionValues } from './options.ts'

export interface LocalCluster {
  readonly dataDirectory: string
  readonly control: ControlFile
}

/** The data directory that `path` lies in, and its pg_control; undefined if there is none. */
export async function findLocalCluster(
  pgdata: string | undefined,
  path: string,
  cwd: string,
): Promise<LocalCluster | undefined> {
  const dataDirectory = await findDataDirectory({ pgdata, path, cwd })
  return dataDirectory === undefined ? undefined : { dataDirectory, control: await readControlFile(dataDirectory) }
}

/**
 * The cluster's place in the archive; undefined if neither a data directory nor `--system-id` tells.
 * @throws SeawallError `usage` if the two contradict each other.
 */
export function layoutByDataDirectory(
  options: Pick<OptionValues, 'cluster' | 'system-id'>,
  local: LocalCluster | undefined,
): ClusterLayout | undefined {
  const given = options['system-id']
  const found = local?.control.systemIdentifier
  if (given !== undefined && found !== undefined && given !== found) {
    throw new SeawallError('usage', {
      operation: 'use --system-id',
      object: given,
      reason: `the data directory ${local?.dataDirectory} has system identifier ${found}`,
      hint: 'Leave --system-id out: the data directory tells it.',
    })
  }
  const identifier = given ?? found
  return identifier === undefined ? undefined : layoutOf(options.cluster, identifier)
}
