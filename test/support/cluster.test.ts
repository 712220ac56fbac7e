import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createCluster, openCluster } from './cluster.ts'
import { hasDebian15, MAJORS, type Version } from './postgres/programs.ts'
import { isRunning } from './processes.ts'

const versions: Version[] = hasDebian15() ? [...MAJORS, 'debian15'] : [...MAJORS]

describe.each(versions)('a cluster of PostgreSQL %s', (version) => {
  test('is created, answers, survives being killed, and is gone after disposal', async () => {
    const cluster = await createCluster({ version, segmentSize: 1, dataChecksums: true, settings: { work_mem: '5MB' } })
    const major = await cluster.value<string>("select current_setting('server_version')")
    expect(major).toMatch(new RegExp(`^${cluster.major}\\.`))
    expect(await cluster.value("select current_setting('wal_segment_size')")).toBe('1MB')
    expect(await cluster.value("select current_setting('data_checksums')")).toBe('on')
    expect(await cluster.value("select current_setting('work_mem')")).toBe('5MB')

    await cluster.query('create table t as select 1 as n')
    await cluster.kill()
    await cluster.start()
    expect(await cluster.query('select n from t')).toEqual([{ n: 1 }])
    expect(cluster.logText()).toContain('database system was not properly shut down')

    const { pid } = cluster
    await cluster.dispose()
    expect(isRunning(pid!)).toBe(false)
  })
})

test('a start that fails says why, with the log', async () => {
  const cluster = await createCluster({ start: false, settings: { archive_mode: 'nonsense' } })
  await expect(cluster.start()).rejects.toThrow(/exit code 1[\s\S]*archive_mode/)
  const ending = await cluster.startAndFail()
  expect(ending.code).toBe(1)
  expect(ending.log).toContain('invalid value for parameter "archive_mode": "nonsense"')
})

test('a copy of a directory runs beside the original', async () => {
  const cluster = await createCluster({ start: false })
  const copy = openCluster({ dataDirectory: cluster.dataDirectory, commandLine: { cluster_name: 'a-copy-of-it' } })
  await copy.start()
  expect(await copy.value("select current_setting('cluster_name')")).toBe('a-copy-of-it')
  expect(readFileSync(join(cluster.dataDirectory, 'postgresql.conf'), 'utf8')).not.toContain('a-copy-of-it')
  await copy.stop()
  expect(existsSync(join(cluster.dataDirectory, 'postmaster.pid'))).toBe(false)
})
