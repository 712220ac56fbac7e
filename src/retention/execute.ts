/**
 * Carrying out a plan, by the plan alone. It may be interrupted anywhere and repeated, and two may run at once: whatever
 * is left over is either whole, or nothing that anybody would restore from.
 */
import type { CallOptions, ReadableStorage, Storage } from '../storage/storage.ts'
import type { Entry } from './entries.ts'
import type { Plan } from './plan.ts'

export interface Executed {
  /** Objects that were removed, or were already gone. */
  readonly removed: number
  /** What dead writers had left. */
  readonly abandoned: number
}

/** @throws what the storage throws; everything removed until then stays removed. */
export async function execute(storage: Storage, plan: Plan, options?: CallOptions): Promise<Executed> {
  let removed = 0
  function* counted(keys: Iterable<string>): Generator<string> {
    for (const key of keys) {
      options?.signal?.throwIfAborted()
      yield key
      removed += 1
      options?.onProgress?.(0)
    }
  }
  for (const keys of removalSteps(await withoutCompleted(storage, plan, options))) {
    await storage.remove(counted(keys), options)
  }
  const abandoned = plan.abandonedBefore ? await storage.removeAbandoned(plan.prefix, plan.abandonedBefore, options) : 0
  return { removed, abandoned }
}

/** The plan without backups that were incomplete when it was made, and that their base-push has completed since. */
async function withoutCompleted(storage: ReadableStorage, plan: Plan, options?: CallOptions): Promise<Plan> {
  const entries: Entry[] = []
  for (const entry of plan.entries) {
    const isDoomed = !entry.keep && entry.completedBy !== undefined
    if (!isDoomed || !(await storage.head(entry.completedBy!, options))) entries.push(entry)
  }
  return { ...plan, entries }
}

/**
 * What is removed, step by step; each step is finished before the next one begins. Without `cluster.json` no reader takes
 * an absence below it for the end of WAL. Without its `backup.json` no backup is offered, so those are gone before
 * anything that they need. Histories, by which timelines are understood, come last.
 */
export function* removalSteps({ entries }: Plan): Generator<Iterable<string>> {
  const doomed = entries.filter(({ keep }) => !keep)
  const of = (...kinds: Entry['kind'][]) => doomed.filter(({ kind }) => kinds.includes(kind))
  yield keysOf(of('cluster'))
  yield keysOf(of('backup'), isBackupRecord)
  yield keysOf(of('backup'), (key) => !isBackupRecord(key))
  yield keysOf(of('wal'))
  yield keysOf(of('history'))
}

function* keysOf(entries: readonly Entry[], matches: (key: string) => boolean = () => true): Generator<string> {
  for (const entry of entries) {
    for (const { key } of entry.objects()) if (matches(key)) yield key
  }
}

function isBackupRecord(key: string): boolean {
  return key.endsWith('/backup.json')
}
