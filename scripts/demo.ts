/** The whole main job on a real PostgreSQL: archive, back up, lose the data, restore to a point in time. See scripts/demo. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createCluster, openCluster } from '../test/support/cluster.ts'
import { binDirectory, checkoutIsReadable } from '../test/support/installation.ts'
import { killStarted } from '../test/support/processes.ts'
import { giveToServersUser, serversUser } from '../test/support/servers-user.ts'
import { cleanUp, temporaryDirectory } from '../test/support/temporary.ts'
import { command, quote, say, showCommand, showFiles, sql, step } from './narrator.ts'

const checkout = join(dirname(fileURLToPath(import.meta.url)), '..')

const summary = `select count(*) as rows, sum(amount) as amount, max(paid_at)::text as latest,
  md5(string_agg(p::text, ',' order by id)) as fingerprint from payment p`

async function demo(): Promise<void> {
  const began = performance.now()
  const directory = temporaryDirectory('seawall-demo-')
  if (!checkoutIsReadable()) {
    say(`\n${serversUser().name}, who runs the servers, cannot read ${checkout}: npm installs a copy for the demo ...`)
  }
  const bin = binDirectory()
  const [primary, restored, archive, config] = ['primary', 'restored', 'archive', 'seawall.yaml'].map((name) =>
    join(directory, name),
  ) as [string, string, string, string]
  const servers = ['server-1', 'server-2'].map((name) => join(directory, name)) as [string, string]
  for (const made of [archive, ...servers]) mkdirSync(made)
  const yaml = `archive: file://${archive}\ncluster: demo\nstate-dir: ${join(directory, 'state')}\n`
  writeFileSync(config, yaml)
  giveToServersUser(directory)

  say(`\nSeawall on PostgreSQL 18: archive, back up, lose everything, get it back.`)
  say(`All of it happens in ${directory}; the servers run as ${serversUser().name} and listen on a socket there.`)

  step('A cluster that archives its WAL', 'One small file says where the archive is:')
  showCommand(`cat ${config}`)
  quote(yaml)
  const settings = {
    archive_mode: 'on',
    archive_command: `${join(bin, 'wal-push')} --config ${config} %p`,
    archive_timeout: 60,
  }
  say('   and postgresql.conf gets these lines:')
  quote(
    Object.entries(settings)
      .map(([name, value]) => `${name} = '${value}'`)
      .join('\n'),
  )
  showCommand(`initdb -D ${primary} && postgres -D ${primary}`)
  const production = await createCluster({ version: 18, dataDirectory: primary, directory: servers[0], settings })
  await sql(production, 'show server_version')

  step('Rows that somebody cares about')
  await sql(
    production,
    `create table payment (id bigint generated always as identity primary key,
  account int not null, amount numeric(10,2) not null, paid_at timestamptz not null)`,
  )
  await sql(production, insertPayments(100_000))
  await sql(production, summary)

  step(
    'A base backup, while the cluster is in use',
    'It is complete only when all WAL that it needs is in the archive.',
  )
  await command(bin, ['base-push', '--config', config, '--pgdata', primary, '--fast-checkpoint'], {
    PGUSER: 'postgres',
  })

  step('More rows, which no backup holds', 'They are in the WAL only, and the WAL goes to the archive.')
  await sql(production, insertPayments(50_000))
  const before = await sql(production, summary)
  say('   This is the moment to come back to:')
  const { moment } = await sql(
    production,
    `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00' as moment`,
  )

  step('The damage', 'Somebody forgets the WHERE.')
  await sql(production, 'delete from payment')
  await sql(production, 'select count(*) as rows from payment')
  say('   The damage is archived as faithfully as everything else:')
  const lastSegment = await production.switchWal()
  await production.waitUntilArchived(lastSegment)
  await sql(production, 'select archived_count, failed_count, last_archived_wal from pg_stat_archiver')
  showCommand(`find ${archive} -type f`)
  showFiles(archive)

  step(
    'Restore to the moment before',
    'base-fetch chooses the newest backup that ended before it, verifies every file, and writes the recovery settings.',
  )
  await command(bin, ['base-fetch', '--config', config, '--target-time', String(moment), restored])

  step('Start the restored cluster', 'It fetches the WAL it needs with wal-fetch, and stops right before the DELETE.')
  showCommand(`postgres -D ${restored}`)
  const copy = openCluster({ version: 18, dataDirectory: restored, directory: servers[1] })
  await copy.start()
  await copy.waitForPromotion()
  quote(
    linesAbout(
      copy.logText(),
      /starting point-in-time|restored log file|consistent|recovery stopping|new timeline|recovery complete/,
    ),
  )

  step('The proof', 'Production has lost its rows; the restored cluster has every one of them.')
  await sql(production, 'select count(*) as rows from payment')
  const after = await sql(copy, summary)
  if (JSON.stringify(after) !== JSON.stringify(before))
    throw new Error('the restored rows are not the ones that were lost')
  say("   Count, sum and fingerprint are those of step 4. The copy does not archive into its original's place:")
  await sql(copy, "select current_setting('archive_mode') as archive_mode, pg_is_in_recovery() as in_recovery")

  await Promise.all([production.stop(), copy.stop()])
  say(`\nDone in ${((performance.now() - began) / 1000).toFixed(1)} s. ${directory} is removed now.`)
  say(`
Where things are
   ${join(checkout, 'bin')}        the executables; each has --help
   ${join(checkout, 'README.md')}  what they promise, and how to restore
   ${join(checkout, 'examples')}   postgresql.conf, seawall.yaml, crontab, systemd timer

Wire your own cluster
   1. Install the executables where the server's user can read them:
        npm pack && sudo npm install -g ./seawall-*.tgz
   2. Make a directory on another disk or machine that the server's user owns, and name it in /etc/seawall/seawall.yaml:
        archive: file:///backup
        cluster: main
   3. In postgresql.conf, then restart:
        wal_level = replica
        archive_mode = on
        archive_timeout = 60
        archive_command = '/usr/local/bin/wal-push --config /etc/seawall/seawall.yaml %p'
   4. Every night, as the server's user:
        /usr/local/bin/base-push --config /etc/seawall/seawall.yaml --pgdata /path/to/data &&
        /usr/local/bin/wal-prune --config /etc/seawall/seawall.yaml
   README.md has the same with every detail, and the way back.`)
}

function insertPayments(count: number): string {
  return `insert into payment (account, amount, paid_at)
  select n % 1000, (n * 7919 % 100000) / 100.0, now() from generate_series(1, ${count}) n`
}

function linesAbout(log: string, pattern: RegExp): string {
  return log
    .split('\n')
    .filter((line) => pattern.test(line))
    .join('\n')
}

const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 }

let interruptedBy: keyof typeof exitCodes | undefined

/** Listens from now on; rejects when somebody wants the demo to end. */
function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    const interrupt = (signal: keyof typeof exitCodes) => {
      interruptedBy ??= signal
      reject(new Error(signal))
    }
    for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.on(signal, interrupt)
    process.stdout.on('error', () => interrupt('SIGPIPE'))
    process.stderr.on('error', () => interrupt('SIGPIPE'))
  })
}

try {
  await Promise.race([interruption(), demo()])
} catch (error) {
  // What failed may have failed because its process got the same signal as we did, which we hear of a moment later.
  await new Promise((resolve) => setImmediate(resolve))
  process.exitCode = interruptedBy ? exitCodes[interruptedBy] : 1
  process.stderr.write(interruptedBy ? '\nInterrupted: cleaning up.\n' : `\nThe demo failed: ${describe(error)}\n`)
  killStarted()
}
await cleanUp()
process.exit()

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
