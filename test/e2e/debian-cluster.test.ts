/** A cluster as Debian makes it (configuration outside the data directory), wired and restored by the README's lines. */
import { spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { expect, test } from 'vitest'
import { createArchive } from '../support/archive.ts'
import { waitFor } from '../support/poll.ts'
import { run } from '../support/processes.ts'
import { serversUser } from '../support/servers-user.ts'
import { onCleanUp, temporaryDirectory } from '../support/temporary.ts'

const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8')
const programs = '/usr/lib/postgresql/15/bin'
const canCreate = serversUser().name === 'postgres' && serversUser().change && existsSync('/usr/bin/pg_createcluster')

/** The README's lines of postgresql.conf. */
function readmeSettings(): string {
  const block = /```\n\s*(wal_level = replica\n[^`]*)```/.exec(readme)?.[1]
  if (!block) throw new Error('the README has no lines for postgresql.conf')
  return block
}

/** The README's command that starts a restored Debian cluster. */
function readmeStart(): string {
  const block = /```sh\n\s*(\/usr\/lib\/postgresql\/15\/bin\/pg_ctl [^`]*)```/.exec(readme)?.[1]
  if (!block) throw new Error('the README does not say how to start a restored Debian cluster')
  return block
}

test.skipIf(!canCreate)('is archived, backed up, and restored to the moment before a DELETE', async () => {
  const archive = createArchive()
  const place = temporaryDirectory()
  const [dataDirectory, restored] = [join(place, 'main'), join(place, 'restored')]
  const environment = { PG_CLUSTER_CONF_ROOT: join(place, 'etc') }
  const port = 20_000 + Math.floor(Math.random() * 40_000)
  const make = ['-d', dataDirectory, '-s', place, '-p', String(port), '-l', join(place, 'log'), '15', 'main']
  root(['pg_createcluster', ...make, '--', '-A', 'trust', '--no-sync'], environment)
  onCleanUp(() => root(['pg_dropcluster', '--stop', '15', 'main'], environment))
  const configuration = join(place, 'etc/15/main/postgresql.conf')
  const settings = archive.example('postgresql.conf')
  for (const line of readmeSettings().trim().split(/\n\s*/)) {
    const ours = line.replaceAll('/usr/local/bin', join(archive.restoreCommand.split(' ')[0]!, '..'))
    const replaced = ours.replaceAll('/etc/seawall/seawall.yaml', archive.config).trim()
    expect(settings).toContain(replaced)
    appendFileSync(configuration, `${replaced}\n`)
  }
  appendFileSync(configuration, "listen_addresses = ''\n")
  root(['pg_ctlcluster', '15', 'main', 'start'], environment)

  const query = async (sql: string, on = port) => {
    const client = new pg.Client({ host: place, port: on, user: 'postgres', database: 'postgres' })
    await client.connect()
    const result = await client.query(sql)
    await client.end()
    return Object.values(result.rows[0] ?? {})[0]
  }
  await query('create table numbers as select generate_series(1, 1000) as n')
  const pushed = await archive.call('base-push', ['--pgdata', dataDirectory, '--fast-checkpoint'])
  expect(pushed).toMatchObject({ code: 0 })
  await query('insert into numbers select generate_series(1, 1000)')
  const moment = await query("select to_char(clock_timestamp(), 'YYYY-MM-DD HH24:MI:SS.US')||'+00'")
  await query('delete from numbers')
  const segment = await query('select pg_walfile_name(pg_switch_wal())')
  await waitFor('the last segment to be archived', () =>
    query(`select true from pg_stat_archiver where last_archived_wal >= '${segment}'`),
  )

  const fetched = await archive.call('base-fetch', ['--target-time', String(moment), restored])
  expect(fetched).toMatchObject({ code: 0 })
  expect(fetched.stdout + fetched.stderr).toContain(configuration)
  const start = readmeStart()
    .replaceAll('/etc/postgresql/15/main/postgresql.conf', configuration)
    .replaceAll('/var/lib/postgresql/restored', restored)
    .replaceAll('-p 5433', `-p ${port + 1}`)
    .replaceAll('/tmp/restored.log', join(place, 'restored.log'))
  expect(await run(['sh', '-ec', start])).toMatchObject({ code: 0 })
  onCleanUp(async () => {
    await run([join(programs, 'pg_ctl'), '-D', restored, '-m', 'immediate', 'stop'])
  })
  await waitFor('recovery to end', () => query('select not pg_is_in_recovery()', port + 1) as Promise<boolean>)
  expect(await query('select count(*)::int from numbers', port + 1)).toBe(2000)
  expect(await query('show archive_mode', port + 1)).toBe('off')
  expect(await query('select count(*)::int from numbers')).toBe(0)
})

/** Runs one of Debian's cluster tools, which start servers as the cluster's owner. */
function root(argv: readonly string[], environment: Readonly<Record<string, string>>): void {
  const result = spawnSync(argv[0]!, argv.slice(1), {
    cwd: '/',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C', ...environment },
    encoding: 'utf8',
  })
  if (result.status !== 0) throw new Error(`${argv.join(' ')}: ${result.stdout}${result.stderr}`)
}
