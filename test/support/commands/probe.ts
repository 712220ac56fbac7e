/** A command that does what its argument says: for tests of everything round a command. */
import type { Command, Context } from '../../../src/commands/command.ts'
import { COMMON_OPTIONS, type OptionName, type OptionValues } from '../../../src/commands/options.ts'
import { localIoError, SeawallError } from '../../../src/core/errors.ts'

const options = [
  ...COMMON_OPTIONS,
  'json',
  'dsn',
  'system-id',
  'compression-level',
  'window',
  'tablespace',
  'target',
] as const satisfies OptionName[]

type ProbeOptions = Pick<OptionValues, (typeof options)[number]>

type Act = (context: Context, options: ProbeOptions) => ReturnType<Command['run']>

const acts: Record<string, Act> = {
  done: async () => 'done',
  absent: async () => 'absent',
  'error-on-standby': async () => 'error-on-standby',
  'error-and-stop': async () => 'error-and-stop',
  'no-backup': async () => 'no-backup',
  options: async (context, values) => {
    context.print(`${JSON.stringify(values)}\n`)
    return 'done'
  },
  context: async ({ cwd, binDirectory, configFile, uid, home, stateHome, isTerminal, print }) => {
    print(`${JSON.stringify({ cwd, binDirectory, configFile, uid, home: home(), stateHome, isTerminal })}\n`)
    return 'done'
  },
  flood: async (context) => {
    for (let i = 0; i < 5000; i++) context.print(`${'x'.repeat(999)}\n`)
    return 'done'
  },
  log: async ({ log, showProgress }) => {
    log.debug('finer')
    showProgress('half way')
    log.info('archived', { segment: '000000010000000000000003', bytes: 42, path: 'a b', lsn: 7n })
    log.warn('odd name: a\nb', { dsn: 'postgresql://me:hunter2@host/db' })
    return 'done'
  },
  failure: async () => {
    const cause = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
    throw new SeawallError('archive-io', {
      operation: 'read',
      object: 'main/1/cluster.json',
      reason: 'the disk says no',
      detail: 'at byte 5',
      hint: 'Look at the disk.',
      cause: localIoError('read', '/x', cause, 'Try.'),
    })
  },
  defect: async () => {
    throw new TypeError('undefined is not a wal segment')
  },
  rejection: async () => {
    void Promise.reject(new Error('nobody listens'))
    return new Promise(() => setTimeout(() => {}, 60_000))
  },
  never: () => new Promise(() => {}),
  'wait-politely': async ({ signal, log, clock }) => {
    log.info('ready')
    try {
      await clock.sleep(60_000, signal)
    } finally {
      log.info('cleaned up')
    }
    return 'done'
  },
  'wait-clumsily': async ({ signal, log, clock }) => {
    log.info('ready')
    await clock.sleep(60_000, signal).catch(() => {})
    throw new Error('cleaning up failed')
  },
  'wait-forever': async ({ log }) => {
    log.info('ready')
    return new Promise(() => setInterval(() => {}, 1000))
  },
  'progress-slowly': async ({ progressed, clock, signal }) => {
    for (let i = 0; i < 10; i++) {
      await clock.sleep(100, signal)
      progressed()
    }
    return 'done'
  },
}

export const probe: Command<(typeof options)[number]> = {
  name: 'probe',
  summary: 'does what its argument says',
  positionals: [
    { name: 'HINT', describe: 'ignored', optional: true },
    { name: 'ACT', describe: 'what to do' },
  ],
  options,
  exitCodes: [{ exit: '0', meaning: 'done' }],
  examples: ['probe done'],
  run: (context, values, positionals) => {
    const act = acts[positionals.at(-1)!]
    if (act === undefined) throw new TypeError(`no such act: ${positionals.at(-1)}`)
    return act(context, values)
  },
}
