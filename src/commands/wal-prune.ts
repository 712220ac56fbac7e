/** `wal-prune`: enforces the recovery window over WAL and base backups. */
import { findCluster, layoutOf, systemIdentifiers } from '../archive/find-cluster.ts'
import { readTimelines } from '../archive/timelines.ts'
import { openCodec } from '../codec/open.ts'
import type { ClusterLayout } from '../core/archive-layout.ts'
import { SeawallError } from '../core/errors.ts'
import { execute } from '../retention/execute.ts'
import { planForgetting } from '../retention/forget.ts'
import { checkNothingElse, readInventory } from '../retention/inventory.ts'
import { type Plan, planRetention } from '../retention/plan.ts'
import { jsonReport, type Report, textReport } from '../retention/report.ts'
import { openStorage } from '../storage/open.ts'
import { readOnly } from '../storage/read-only.ts'
import type { CallOptions, ReadableStorage, Storage } from '../storage/storage.ts'
import { type Command, type Context, exitCodesOf, type Outcome } from './command.ts'
import { COMMON_OPTIONS, type OptionValues } from './options.ts'

const options = [...COMMON_OPTIONS, 'system-id', 'window', 'keep-base', 'dry-run', 'json', 'forget-system-id'] as const

type Values = Pick<OptionValues, (typeof options)[number]>

interface Access {
  /** Only for carrying out a plan. */
  readonly storage: Storage
  /** For making it. */
  readonly reader: ReadableStorage
  readonly call: CallOptions
}

export const walPrune: Command<(typeof options)[number]> = {
  name: 'wal-prune',
  summary: 'Remove what the recovery window no longer needs, base backups and WAL',
  positionals: [],
  options,
  exitCodes: [
    { exit: '0', meaning: 'every moment of the window stays restorable, and what it does not need is gone' },
    ...exitCodesOf(
      'usage',
      'archive-missing',
      'archive-io',
      'corrupt',
      'newer-format',
      'no-backup',
      'unknown-object',
      'internal',
      'timeout',
      'interrupted',
    ),
  ],
  examples: [
    'wal-prune --archive file:///backup --dry-run',
    'wal-prune --config /etc/seawall/seawall.yaml --window 14d --keep-base 2',
  ],

  async run(context, values) {
    const storage = await openStorage(values.archive)
    const reader = readOnly(storage)
    const call = { signal: context.signal, onProgress: context.progressed }
    const layouts = await clustersToPrune(reader, values, call)
    const report = (values.json ? jsonReport : textReport)(context.print, {
      archive: storage.url,
      cluster: values.cluster,
      dryRun: values['dry-run'],
    })
    const outcomes: Outcome[] = []
    for (const layout of layouts) {
      outcomes.push(await pruneOne(context, values, { storage, reader, call }, layout, report))
    }
    report.end()
    return worst(outcomes)
  },
}

/** One system identifier after the other: what fails under one of them leaves that one untouched and the others done. */
async function pruneOne(
  context: Context,
  values: Values,
  { storage, reader, call }: Access,
  layout: ClusterLayout,
  report: Report,
): Promise<Outcome> {
  try {
    const plan = await makePlan(context, values, reader, layout, call)
    report.planned(plan)
    if (plan.outcome === 'no-backup') {
      context.log.failure(noBackup(plan.systemIdentifier), 'warn')
    } else if (!values['dry-run']) {
      report.executed(await execute(storage, plan, call))
    }
    return plan.outcome
  } catch (error) {
    if (context.signal.aborted || !(error instanceof SeawallError)) throw error
    context.log.failure(error)
    report.failed(layout.systemIdentifier, error)
    return error.code
  }
}

async function makePlan(
  { clock }: Context,
  values: Values,
  reader: ReadableStorage,
  layout: ClusterLayout,
  call: CallOptions,
): Promise<Plan> {
  if (values['forget-system-id'] !== undefined) return planForgetting(reader, layout, clock.now(), call)
  const codec = await openCodec()
  const inventory = await readInventory(reader, layout, () => readTimelines(reader, codec, layout, call), call)
  return planRetention(inventory, { windowMs: values.window, keepBase: values['keep-base'] }, clock.now())
}

async function clustersToPrune(reader: ReadableStorage, values: Values, call: CallOptions): Promise<ClusterLayout[]> {
  const { cluster, 'system-id': chosen, 'forget-system-id': forgotten } = values
  if (forgotten !== undefined) {
    if (chosen !== undefined && chosen !== forgotten) throw twoIdentifiers(chosen, forgotten)
    return [layoutOf(cluster, forgotten)]
  }
  const identifiers = await systemIdentifiers(reader, cluster, call)
  await checkNothingElse(reader, cluster, call)
  if (chosen !== undefined || identifiers.length === 0) return [await findCluster(reader, cluster, chosen, call)]
  return identifiers.map((identifier) => layoutOf(cluster, identifier))
}

/** An error outranks "no backup", which outranks success. */
function worst(outcomes: readonly Outcome[]): Outcome {
  return (
    outcomes.find((outcome) => outcome !== 'done' && outcome !== 'no-backup') ??
    outcomes.find((outcome) => outcome === 'no-backup') ??
    'done'
  )
}

function noBackup(systemIdentifier: string): SeawallError {
  return new SeawallError('no-backup', {
    operation: 'prune',
    object: `system identifier ${systemIdentifier}`,
    reason: 'no backup counts, so nothing was removed',
    hint: 'Take a backup with base-push. If this cluster is gone for good, --forget-system-id removes what it left.',
  })
}

function twoIdentifiers(chosen: string, forgotten: string): SeawallError {
  return new SeawallError('usage', {
    operation: 'forget system identifier',
    object: forgotten,
    reason: `--system-id names another one, ${chosen}`,
    hint: 'Give --forget-system-id alone.',
  })
}
