/** `wal-fetch FILE DEST`: PostgreSQL's restore_command. */
import path from 'node:path'
import { findCluster } from '../archive/find-cluster.ts'
import { openCodec } from '../codec/open.ts'
import { SeawallError } from '../core/errors.ts'
import { retry } from '../core/retry.ts'
import { parseWalFileName, type WalFile } from '../core/wal-names.ts'
import { findDataDirectory, promoteRequested, recoveryMode } from '../postgres/data-directory.ts'
import { openStorage } from '../storage/open.ts'
import { readOnly } from '../storage/read-only.ts'
import { fetchWalFile } from '../wal/fetch.ts'
import type { Command, Context } from './command.ts'
import { findLocalCluster, layoutByDataDirectory } from './data-directory-cluster.ts'
import { COMMON_OPTIONS, type OptionValues } from './options.ts'

const options = [...COMMON_OPTIONS, 'on-error', 'pgdata', 'system-id'] as const

type Values = Pick<OptionValues, (typeof options)[number]>

/** A restore_command blocks the startup process, and with it streaming and promotion. Milliseconds. */
const standbyBudget = 5_000
/** In recovery nothing else waits, and giving up stops the server. Milliseconds. */
const recoveryBudget = 10_000

export const walFetch: Command<(typeof options)[number]> = {
  name: 'wal-fetch',
  summary: 'Bring one WAL file back from the archive (restore_command)',
  positionals: [
    { name: 'FILE', describe: 'Name of the WAL file: %f in restore_command' },
    { name: 'DEST', describe: 'Where it goes: %p in restore_command' },
  ],
  options,
  exitCodes: [
    { exit: '0', meaning: 'the file is in place, complete and verified' },
    { exit: '1', meaning: 'the archive confirmed that there is no such file, and that this is an end and not a hole' },
    { exit: '75', meaning: 'an error on a standby, or during a promotion: PostgreSQL asks again, or goes on' },
    { exit: '255', meaning: 'any other error: PostgreSQL stops instead of opening with rows missing' },
    { exit: 'SIGTERM', meaning: 'the server is shutting down' },
  ],
  examples: ["restore_command = '/usr/local/bin/wal-fetch --archive file:///backup %f %p'"],

  async run(context, values, [name, destination]) {
    const request = { values, name: name!, destination: path.resolve(context.cwd, destination!) }
    try {
      return await fetch(context, request)
    } catch (error) {
      if (interrupted(context) || !(error instanceof SeawallError)) throw error
      const answer = await answerTo(context, request)
      if (answer.kind === 'stop' && values['on-error'] === 'auto') throw error
      context.log.failure(error)
      if (answer.kind === 'stop') return 'error-and-stop'
      if (answer.consequence !== undefined) context.log.warn(answer.consequence)
      return 'error-on-standby'
    }
  },
}

interface Request {
  readonly values: Values
  readonly name: string
  /** Absolute. */
  readonly destination: string
}

async function fetch(context: Context, { values, name, destination }: Request): Promise<'done' | 'absent'> {
  const { clock, log, signal } = context
  const call = { signal, onProgress: context.progressed }
  const file = walFileOf(name)
  const dataDirectory = await findDataDirectory({ pgdata: values.pgdata, path: destination, cwd: context.cwd })
  const isStandby = dataDirectory !== undefined && (await recoveryMode(dataDirectory)) === 'standby'
  if (isStandby) context.limitIdleTime(standbyBudget)
  const local = await findLocalCluster(values.pgdata, destination, context.cwd)
  const known = layoutByDataDirectory(values, local)
  const codec = await openCodec()
  const giveUp = async () => dataDirectory !== undefined && (await promoteRequested(dataDirectory))
  const budget = isStandby ? standbyBudget : recoveryBudget

  const outcome = await retry(
    async () => {
      // An attempt that came to an end is progress, however it ended.
      context.progressed()
      const storage = readOnly(await openStorage(values.archive))
      const layout = known ?? (await findCluster(storage, values.cluster, undefined, call))
      return fetchWalFile({ storage, codec, layout, file, destination, log }, call)
    },
    { budget, giveUp },
    { clock, log, signal },
  )
  log.debug(outcome === 'done' ? `fetched ${name}` : `${name} is not in the archive`)
  return outcome
}

function walFileOf(name: string): WalFile {
  const file = parseWalFileName(name)
  if (file) return file
  throw new SeawallError('usage', {
    operation: 'fetch',
    object: name,
    reason: 'it is not the name of a WAL segment, a timeline history or a backup history file',
    hint: "Call it as restore_command = 'wal-fetch %f %p'.",
  })
}

interface Answer {
  /** `stop` ends the server, `poll` lets it ask again or go on. */
  readonly kind: 'stop' | 'poll'
  /** What going on may cost, to be said plainly. */
  readonly consequence?: string
}

/** How an error must be answered, by what the server is doing. */
async function answerTo({ cwd }: Context, { values, destination }: Request): Promise<Answer> {
  if (values['on-error'] !== 'auto') return { kind: values['on-error'] }
  const dataDirectory = await findDataDirectory({ pgdata: values.pgdata, path: destination, cwd })
  if (dataDirectory === undefined) return { kind: 'stop' }
  const mode = await recoveryMode(dataDirectory)
  const name = path.basename(destination)
  if (await promoteRequested(dataDirectory)) {
    return {
      kind: 'poll',
      consequence:
        'a promotion is requested: the server may open without this file and all WAL after it that only the archive has',
    }
  }
  if (mode === 'standby') return { kind: 'poll' }
  // At the end of a promotion PostgreSQL removes its signal files and then asks for its own timeline's history
  // (writeTimeLineHistory). Stopped there, it would come up again on the old timeline, without a new one.
  if (mode === 'none' && name === 'RECOVERYHISTORY') {
    return {
      kind: 'poll',
      consequence:
        'the server is ending its recovery: its new timeline may lack its history, or have a number that is taken. ' +
        'Take a base backup when the archive is back',
    }
  }
  return { kind: 'stop' }
}

function interrupted({ signal }: Context): boolean {
  return signal.aborted && signal.reason instanceof SeawallError && signal.reason.code === 'interrupted'
}
