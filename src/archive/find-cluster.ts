/** Which cluster in an archive is meant, where no data directory tells. */
import { ClusterLayout, clusterDirectory, isClusterName, isSystemIdentifier } from '../core/archive-layout.ts'
import { SeawallError } from '../core/errors.ts'
import type { CallOptions, ReadableStorage } from '../storage/storage.ts'

/** Checks what a user gave as names. @throws SeawallError `usage` */
export function layoutOf(cluster: string, systemIdentifier: string): ClusterLayout {
  checkClusterName(cluster)
  if (!isSystemIdentifier(systemIdentifier)) {
    throw new SeawallError('usage', {
      operation: 'use system identifier',
      object: `"${systemIdentifier}"`,
      reason: 'it is not a decimal number of 64 bits',
      hint: 'pg_controldata shows it as "Database system identifier".',
    })
  }
  return new ClusterLayout(cluster, systemIdentifier)
}

/**
 * The system identifiers archived under a cluster name, ascending by text. One that holds nothing but its `cluster.json`
 * (a command under a wrong name got no further) is only told of where there is no other.
 */
export async function systemIdentifiers(
  storage: ReadableStorage,
  cluster: string,
  options?: CallOptions,
): Promise<string[]> {
  checkClusterName(cluster)
  const names = await storage.listDirectories(clusterDirectory(cluster), options)
  const identifiers = names.filter(isSystemIdentifier)
  const used: string[] = []
  for (const identifier of identifiers) {
    const { prefix } = new ClusterLayout(cluster, identifier)
    if ((await storage.listDirectories(prefix, options)).length > 0) used.push(identifier)
  }
  return used.length > 0 ? used : identifiers
}

/**
 * The cluster's place, by the given system identifier or by the only one there is.
 * @throws SeawallError `archive-missing` if there is none, `usage` if there are several to choose from.
 */
export async function findCluster(
  storage: ReadableStorage,
  cluster: string,
  systemIdentifier: string | undefined,
  options?: CallOptions,
): Promise<ClusterLayout> {
  if (systemIdentifier !== undefined) return layoutOf(cluster, systemIdentifier)
  const found = await systemIdentifiers(storage, cluster, options)
  if (found.length === 1) return new ClusterLayout(cluster, found[0]!)
  if (found.length === 0) {
    throw new SeawallError('archive-missing', {
      operation: `find cluster "${cluster}" in the archive`,
      object: storage.url,
      reason: 'nothing is archived under that name',
      hint: 'Check --archive and --cluster, and whether the archive is mounted.',
    })
  }
  throw new SeawallError('usage', {
    operation: `find cluster "${cluster}" in the archive`,
    object: storage.url,
    reason: `it holds ${found.length} system identifiers: ${found.join(', ')}`,
    hint: 'Choose one with --system-id; pg_controldata shows that of a data directory. What is gone for good goes with wal-prune --forget-system-id.',
  })
}

function checkClusterName(cluster: string): void {
  if (isClusterName(cluster)) return
  throw new SeawallError('usage', {
    operation: 'use cluster name',
    object: `"${cluster}"`,
    reason: 'it must start with a letter, digit or "_" and hold only those, "." and "-", at most 100',
    hint: 'Give another name with --cluster.',
  })
}
