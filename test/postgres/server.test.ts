import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatLsn } from '../../src/core/lsn.ts'
import { startBackup } from '../../src/postgres/backup-session.ts'
import { type Connection, connect } from '../../src/postgres/connection.ts'
import { proveOwnership } from '../../src/postgres/identity.ts'
import { readPostmasterFile, runningPostmaster } from '../../src/postgres/postmaster.ts'
import { readArchiverState, readSettings } from '../../src/postgres/settings.ts'
import { type Cluster, createCluster, openCluster, type Version } from '../support/cluster.ts'
import { waitFor } from '../support/poll.ts'
import { hasDebian15, MAJORS } from '../support/postgres/programs.ts'
import { giveToServersUser } from '../support/servers-user.ts'
import { onCleanUp, temporaryDirectory } from '../support/temporary.ts'

const versions: Version[] = hasDebian15() ? [...MAJORS, 'debian15'] : [...MAJORS]

async function connectTo(cluster: Cluster): Promise<Connection> {
  const connection = await connect({ dsn: cluster.dsn, applicationName: 'seawall test' })
  onCleanUp(() => connection.close())
  return connection
}

describe.each(versions)('a server of PostgreSQL %s', (version) => {
  test('says what it is', async () => {
    const cluster = await createCluster({
      version,
      segmentSize: 1,
      dataChecksums: true,
      settings: { archive_mode: 'on', archive_command: 'exit 3' },
    })
    const connection = await connectTo(cluster)
    const settings = await readSettings(connection)
    expect(settings).toMatchObject({
      dataDirectory: cluster.dataDirectory,
      configFile: join(cluster.dataDirectory, 'postgresql.conf'),
      hbaFile: join(cluster.dataDirectory, 'pg_hba.conf'),
      identFile: join(cluster.dataDirectory, 'pg_ident.conf'),
      walSegmentSize: 1024 * 1024,
      dataChecksums: true,
      archiveMode: 'on',
      archives: true,
    })
    expect(Math.floor(settings.versionNumber / 10_000)).toBe(cluster.major)
    expect(settings.version).toMatch(new RegExp(`^${cluster.major}\\.\\d+$`))

    await cluster.switchWal()
    await cluster.waitForRow('select 1 from pg_stat_archiver where failed_count > 0')
    const archiver = await readArchiverState(connection)
    expect(archiver).toMatchObject({ lastArchived: undefined, lastFailed: expect.any(String) })
    expect(archiver.failedCount).toBeGreaterThan(0n)
  })

  test('takes a backup: label, timeline, positions and times are right', async () => {
    const cluster = await createCluster({ version })
    const place = temporaryDirectory()
    await cluster.query(`create tablespace outside location '${place}'`)
    const connection = await connectTo(cluster)
    const { versionNumber } = await readSettings(connection)
    await proveOwnership(connection, cluster.dataDirectory)
    const before = Date.now()
    const session = await startBackup(connection, { label: 'seawall test', fast: true, versionNumber })
    await proveOwnership(connection, cluster.dataDirectory, session.start.lsn)
    const oid = await cluster.value("select oid from pg_tablespace where spcname = 'outside'")
    const stop = await session.stop()
    await proveOwnership(connection, cluster.dataDirectory, session.start.lsn)
    const after = Date.now()

    expect(session.start.timeline).toBe(1)
    expect(stop.label).toContain(`START WAL LOCATION: ${formatLsn(session.start.lsn)} `)
    expect(stop.label).toContain('LABEL: seawall test\n')
    expect(stop.tablespaceMap).toBe(`${oid} ${place}\n`)
    expect(stop.lsn).toBeGreaterThan(session.start.lsn)
    expect(session.start.startedAt.getTime()).toBeGreaterThanOrEqual(before)
    expect(stop.stoppedAt.getTime()).toBeGreaterThanOrEqual(session.start.startedAt.getTime())
    expect(stop.stoppedAt.getTime()).toBeLessThanOrEqual(after + 1)
  })

  test('forgets a backup that is abandoned', async () => {
    const cluster = await createCluster({ version })
    const connection = await connectTo(cluster)
    const { versionNumber } = await readSettings(connection)
    const session = await startBackup(connection, { label: 'seawall test', fast: true, versionNumber })
    await session.abandon()
    await session.abandon()
    await cluster.waitForLog(/aborting backup due to backend exiting before pg_(backup_stop|stop_backup)/)
    await expect(session.stop()).rejects.toMatchObject({ code: 'postgres' })
  })

  test('sets no limits that its settings would put on a long backup', async () => {
    const cluster = await createCluster({
      version,
      settings: {
        statement_timeout: '1s',
        lock_timeout: '1s',
        idle_in_transaction_session_timeout: '1s',
        ...(version !== 13 ? { idle_session_timeout: '1s' } : {}),
      },
    })
    const connection = await connectTo(cluster)
    const rows = await connection.query<{ name: string; setting: string }>(
      "select name, setting from pg_settings where name ~ '^(statement|lock|idle.*session)_timeout$'",
    )
    expect(rows).toHaveLength(version === 13 ? 3 : 4)
    for (const { name, setting } of rows) expect(`${name} ${setting}`).toBe(`${name} 0`)
  })
})

describe('a connection', () => {
  test('finds the server by postmaster.pid, as the operating system user', async () => {
    const cluster = await createCluster()
    const { username } = userInfo()
    if (username !== 'postgres') await cluster.query(`create role "${username}" superuser login`)
    const postmaster = await runningPostmaster(cluster.dataDirectory)
    expect(postmaster).toEqual({
      pid: cluster.pid,
      dataDirectory: cluster.dataDirectory,
      startedAt: expect.any(Number),
      port: cluster.port,
      socketDirectory: cluster.socketDirectory,
    })
    const connection = await connect({ postmaster, applicationName: 'seawall test' })
    onCleanUp(() => connection.close())
    expect(
      await connection.query(
        'select current_user, current_database(), application_name from pg_stat_activity where pid = pg_backend_pid()',
      ),
    ).toEqual([{ current_user: username, current_database: 'postgres', application_name: 'seawall test' }])
  })

  test('prefers the PG* variables to postmaster.pid, and the DSN to both', async () => {
    const [one, two] = await Promise.all([createCluster(), createCluster()])
    const program = `
      import { connect } from '${join(import.meta.dirname, '../../src/postgres/connection.ts')}'
      const [dsn, socketDirectory] = process.argv.slice(1)
      const postmaster = { socketDirectory, port: 1 }
      const connection = await connect({ dsn: dsn || undefined, postmaster, applicationName: 'seawall test' })
      const [row] = await connection.query("select current_setting('port') as port")
      process.stdout.write(row.port)
      await connection.close()`
    const portReached = (dsn: string) => {
      const env = { PGHOST: one.socketDirectory, PGPORT: String(one.port), PGUSER: 'postgres', PGDATABASE: 'postgres' }
      const node = spawnSync(process.execPath, ['--input-type=module', '-e', program, dsn, '/nowhere'], { env })
      expect(node.stderr.toString()).toBe('')
      return Number(node.stdout)
    }
    expect(portReached('')).toBe(one.port)
    expect(portReached(two.dsn)).toBe(two.port)
  })

  test('to nothing fails with the place and a hint', async () => {
    const directory = temporaryDirectory()
    const failure = connect({
      dsn: `postgresql://me:topsecret@/postgres?host=${directory}&port=5999`,
      applicationName: 'seawall test',
    })
    await expect(failure).rejects.toMatchObject({
      code: 'postgres',
      object: `me@${directory}:5999/postgres`,
      hint: expect.stringMatching(/^Start the server; name its data directory with --pgdata/),
    })
    await expect(failure).rejects.not.toThrow('topsecret')
  })

  test.each([
    'host=/tmp user=me password=topsecret',
    'mysql://me:topsecret@host/db',
    'postgresql://me:topsecret@host:port/',
  ])('by "%s" is refused without repeating it', async (dsn) => {
    const failure = connect({ dsn, applicationName: 'seawall test' })
    await expect(failure).rejects.toMatchObject({ code: 'usage', object: '--dsn' })
    await expect(failure).rejects.not.toThrow('topsecret')
  })

  test('of a role that does not exist, or may not take backups, fails with a hint', async () => {
    const cluster = await createCluster()
    await cluster.query('create role plain login')
    const dsnOf = (role: string) => cluster.dsn.replace('postgres@', `${role}@`)
    await expect(connect({ dsn: dsnOf('nobody_here'), applicationName: 'seawall test' })).rejects.toMatchObject({
      code: 'postgres',
      reason: 'role "nobody_here" does not exist',
      hint: expect.stringMatching(/^Run this as the server's user .*pg_hba\.conf/),
    })
    const connection = await connect({ dsn: dsnOf('plain'), applicationName: 'seawall test' })
    onCleanUp(() => connection.close())
    await expect(readSettings(connection)).rejects.toMatchObject({
      code: 'postgres',
      hint: expect.stringContaining('pg_monitor'),
    })
  })

  test('of a role with pg_monitor and the two functions can take a backup', async () => {
    const cluster = await createCluster()
    await cluster.query('create role backup login in role pg_monitor')
    await cluster.query('grant execute on function pg_backup_start(text, boolean), pg_backup_stop(boolean) to backup')
    const connection = await connect({
      dsn: cluster.dsn.replace('postgres@', 'backup@'),
      applicationName: 'seawall test',
    })
    onCleanUp(() => connection.close())
    const { versionNumber } = await readSettings(connection)
    const session = await startBackup(connection, { label: 'seawall test', fast: true, versionNumber })
    await proveOwnership(connection, cluster.dataDirectory, session.start.lsn)
    expect((await session.stop()).label).toContain('LABEL: seawall test')
  })

  test('tells when the server goes away, and every later query fails', async () => {
    const cluster = await createCluster()
    const connection = await connectTo(cluster)
    const { versionNumber } = await readSettings(connection)
    const session = await startBackup(connection, { label: 'seawall test', fast: true, versionNumber })
    expect(connection.lost.aborted).toBe(false)
    await cluster.restart('immediate')
    await waitFor('the connection to be lost', () => connection.lost.aborted)
    expect(connection.lost.reason).toMatchObject({ code: 'postgres' })
    await expect(session.stop()).rejects.toMatchObject({ code: 'postgres', operation: 'stay connected to' })
  })

  test('that is aborted ends a backup which still waits for its checkpoint', async () => {
    const cluster = await createCluster({ settings: { checkpoint_timeout: '1h', checkpoint_completion_target: 0.9 } })
    await cluster.query("create table t as select repeat('x', 100) from generate_series(1, 50000)")
    const abort = new AbortController()
    const connection = await connect({ dsn: cluster.dsn, applicationName: 'seawall test', signal: abort.signal })
    const starting = startBackup(connection, { label: 'seawall test', fast: false, versionNumber: 180_000 })
    starting.catch(() => {})
    const waiting =
      "select 1 from pg_stat_activity where application_name = 'seawall test' and wait_event ~ 'Checkpoint'"
    await cluster.waitForRow(waiting)
    const reason = new Error('told to stop')
    abort.abort(reason)
    await expect(starting).rejects.toBe(reason)
    await expect(connection.query('select 1')).rejects.toBe(reason)
    await cluster.waitForRow(`select 1 where not exists (${waiting})`)
    await expect(connect({ dsn: cluster.dsn, applicationName: 'seawall test', signal: abort.signal })).rejects.toBe(
      reason,
    )
  })

  test('through which another server process answers cannot end a backup', async () => {
    const cluster = await createCluster()
    const [first, second] = [await connectTo(cluster), await connectTo(cluster)]
    const { versionNumber } = await readSettings(first)
    let current = first
    const pooled: Connection = { ...first, query: (sql, parameters) => current.query(sql, parameters) }
    const session = await startBackup(pooled, { label: 'seawall test', fast: true, versionNumber })
    current = second
    await expect(session.stop()).rejects.toMatchObject({
      code: 'postgres',
      reason: expect.stringContaining('answered by different server processes'),
      hint: expect.stringContaining('pooler'),
    })
  })
})

describe('ownership', () => {
  /** A standby that streams from the primary. */
  async function standbyOf(primary: Cluster): Promise<Cluster> {
    const dataDirectory = join(temporaryDirectory(), 'data')
    await primary.stop()
    cpSync(primary.dataDirectory, dataDirectory, { recursive: true })
    writeFileSync(join(dataDirectory, 'standby.signal'), '')
    giveToServersUser(dataDirectory)
    await primary.start()
    const standby = openCluster({
      dataDirectory,
      commandLine: { primary_conninfo: `host=${primary.socketDirectory} port=${primary.port} user=postgres` },
    })
    await standby.start()
    await primary.waitForRow("select 1 from pg_stat_replication where state = 'streaming'")
    return standby
  }

  test("a primary's connection with its standby's directory is refused, and a standby's with its own", async () => {
    const primary = await createCluster()
    const standby = await standbyOf(primary)
    const toPrimary = await connectTo(primary)
    const toStandby = await connectTo(standby)
    await proveOwnership(toPrimary, primary.dataDirectory)
    await expect(proveOwnership(toPrimary, standby.dataDirectory)).rejects.toMatchObject({
      code: 'refused',
      object: standby.dataDirectory,
      reason: `the server's data directory is ${primary.dataDirectory}`,
    })
    await expect(proveOwnership(toStandby, standby.dataDirectory)).rejects.toMatchObject({
      code: 'refused',
      reason: expect.stringContaining('is a standby'),
    })
    await expect(
      startBackup(toStandby, { label: 'seawall test', fast: true, versionNumber: 180_000 }),
    ).rejects.toMatchObject({ code: 'postgres', hint: 'Run base-push on the primary.' })
  })

  /** As in another container, where the server's data directory has the same path as the one we look at. */
  function withServerSaying(connection: Connection, facts: Record<string, unknown>): Connection {
    return {
      ...connection,
      query: async <Row>(sql: string, parameters?: readonly unknown[]) =>
        (await connection.query(sql, parameters)).map((row) => ({ ...row, ...facts })) as Row[],
    }
  }

  test('is refused by each fact alone: state, port, start, checkpoint, directory, identifier, a missing postmaster.pid', async () => {
    const primary = await createCluster()
    const standby = await standbyOf(primary)
    const connection = await connectTo(primary)
    const refusal = async (directory: string, facts: Record<string, unknown>, startLsn?: bigint) => {
      const failure = await proveOwnership(withServerSaying(connection, facts), directory, startLsn).catch((e) => e)
      expect(failure).toMatchObject({ code: 'refused' })
      return failure.reason as string
    }
    const own = primary.dataDirectory
    await proveOwnership(withServerSaying(connection, {}), own)
    expect(await refusal(standby.dataDirectory, { data_directory: standby.dataDirectory })).toBe(
      'its control file says "in archive recovery", and not "in production" as that of a running primary',
    )
    expect(await refusal(own, { port: '1' })).toBe('they have different ports')
    expect(await refusal(own, { started_at: '1000000000' })).toBe('they were started at different times')
    expect(await refusal(own, { data_directory: '/nowhere' })).toBe("the server's data directory is /nowhere")
    expect(await refusal(own, { system_identifier: '42' })).toBe('they have different system identifiers')
    expect(await refusal(own, {}, 1n << 60n)).toBe("the server's checkpoint did not reach its control file")

    const bare = temporaryDirectory()
    mkdirSync(join(bare, 'global'))
    copyFileSync(join(own, 'global/pg_control'), join(bare, 'global/pg_control'))
    expect(await refusal(bare, { data_directory: bare })).toBe(
      'no server runs on the directory: it has no postmaster.pid',
    )
  })
})

describe('postmaster.pid', () => {
  test('of a dead server names nobody who runs', async () => {
    const cluster = await createCluster()
    const { pid } = cluster
    await cluster.kill()
    expect(await readPostmasterFile(cluster.dataDirectory)).toMatchObject({ pid })
    expect(await runningPostmaster(cluster.dataDirectory)).toBeUndefined()
  })

  test('is not there while no server runs', async () => {
    const cluster = await createCluster({ start: false })
    expect(await readPostmasterFile(cluster.dataDirectory)).toBeUndefined()
    expect(await runningPostmaster(cluster.dataDirectory)).toBeUndefined()
  })

  test('half written, or of a single-user server, is not taken for a server', async () => {
    const directory = temporaryDirectory()
    for (const text of ['', '123\n', '123\n/data\n1700000000\n5432\n', '-123\n/data\n1700000000\n5432\n/run\n\n']) {
      writeFileSync(join(directory, 'postmaster.pid'), text)
      expect(await readPostmasterFile(directory)).toBeUndefined()
    }
  })
})
