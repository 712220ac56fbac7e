/** Removing everything under one system identifier, its last backup too, because somebody said so. */

import type { ClusterLayout } from '../core/archive-layout.ts'
import { SeawallError } from '../core/errors.ts'
import type { CallOptions, ReadableStorage } from '../storage/storage.ts'
import { backupEntries, clusterRecordEntry, historyEntry, walEntries } from './entries.ts'
import { readListing } from './inventory.ts'
import type { Plan } from './plan.ts'

/** With the smallest segments every possible name is a number, whatever the cluster's own segment size is. */
const anySegmentSize = 1 << 20

/**
 * Plans to remove all. No object needs to be readable, and `cluster.json` may be gone already, so that an interrupted
 * removal can be repeated; but each must be one that this version knows.
 * @throws SeawallError `unknown-object`, `usage` if nothing is archived under this identifier.
 */
export async function planForgetting(
  storage: ReadableStorage,
  layout: ClusterLayout,
  now: Date,
  options?: CallOptions,
): Promise<Plan> {
  const listing = await readListing(storage, layout, anySegmentSize, options)
  const verdict = { keep: false, reason: 'its system identifier is to be forgotten' }
  const entries = [
    ...clusterRecordEntry(listing, verdict),
    ...backupEntries(listing, () => verdict),
    ...walEntries(listing, () => verdict),
    ...historyEntry(listing, verdict),
  ]
  if (entries.length === 0) throw nothingToForget(storage, layout)
  return {
    systemIdentifier: layout.systemIdentifier,
    prefix: layout.prefix,
    outcome: 'done',
    window: undefined,
    entries,
    notes: [],
    abandonedBefore: now,
  }
}

function nothingToForget(storage: ReadableStorage, layout: ClusterLayout): SeawallError {
  return new SeawallError('usage', {
    operation: 'forget system identifier',
    object: layout.systemIdentifier,
    reason: `nothing is archived under it for cluster "${layout.cluster}" in ${storage.url}`,
    hint: 'wal-prune --dry-run shows the system identifiers that are there.',
  })
}
