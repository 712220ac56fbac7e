import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  findDataDirectory,
  promoteRequested,
  recoveryMode,
  waitingWalFiles,
} from '../../src/postgres/data-directory.ts'
import { temporaryDirectory } from '../support/temporary.ts'

function dataDirectory(): string {
  const directory = join(temporaryDirectory(), 'data')
  mkdirSync(join(directory, 'global'), { recursive: true })
  mkdirSync(join(directory, 'pg_wal/archive_status'), { recursive: true })
  writeFileSync(join(directory, 'global/pg_control'), '')
  return directory
}

const segment = '000000010000000000000003'

describe('the data directory', () => {
  test('is the parent of the pg_wal in a relative path, as PostgreSQL gives it', async () => {
    const cwd = dataDirectory()
    expect(await findDataDirectory({ path: `pg_wal/${segment}`, cwd })).toBe(cwd)
    expect(await findDataDirectory({ path: 'pg_wal/RECOVERYXLOG', cwd })).toBe(cwd)
  })

  test('is the parent of the pg_wal in an absolute path, wherever we stand', async () => {
    const directory = dataDirectory()
    expect(await findDataDirectory({ path: `${directory}/pg_wal/${segment}`, cwd: '/' })).toBe(directory)
  })

  test('is found by name, though pg_wal is a link to another disk', async () => {
    const directory = join(temporaryDirectory(), 'data')
    const elsewhere = temporaryDirectory()
    mkdirSync(join(directory, 'global'), { recursive: true })
    writeFileSync(join(directory, 'global/pg_control'), '')
    symlinkSync(elsewhere, join(directory, 'pg_wal'))
    expect(await findDataDirectory({ path: `pg_wal/${segment}`, cwd: directory })).toBe(directory)
  })

  test('is what --pgdata says, first of all', async () => {
    const other = dataDirectory()
    const cwd = dataDirectory()
    expect(await findDataDirectory({ pgdata: other, path: `pg_wal/${segment}`, cwd })).toBe(other)
    expect(await findDataDirectory({ pgdata: 'data', cwd: join(other, '..') })).toBe(other)
  })

  test('is unknown for a file that stands elsewhere', async () => {
    const cwd = dataDirectory()
    expect(await findDataDirectory({ path: segment, cwd })).toBeUndefined()
    expect(await findDataDirectory({ path: `/tmp/${segment}`, cwd })).toBeUndefined()
    expect(await findDataDirectory({ path: `pg_wal/archive_status/${segment}.ready`, cwd })).toBeUndefined()
    expect(await findDataDirectory({ cwd })).toBeUndefined()
    const bare = temporaryDirectory()
    expect(await findDataDirectory({ path: `pg_wal/${segment}`, cwd: bare })).toBeUndefined()
  })

  test('that --pgdata names must be one', async () => {
    const cwd = temporaryDirectory()
    await expect(findDataDirectory({ pgdata: 'nowhere', cwd })).rejects.toMatchObject({
      code: 'refused',
      object: join(cwd, 'nowhere'),
      reason: 'it has no global/pg_control',
    })
  })
})

describe('recovery', () => {
  test('standby.signal wins over recovery.signal', async () => {
    const directory = dataDirectory()
    expect(await recoveryMode(directory)).toBe('none')
    writeFileSync(join(directory, 'recovery.signal'), '')
    expect(await recoveryMode(directory)).toBe('recovery')
    writeFileSync(join(directory, 'standby.signal'), '')
    expect(await recoveryMode(directory)).toBe('standby')
  })

  test('a request to promote is a file named promote', async () => {
    const directory = dataDirectory()
    expect(await promoteRequested(directory)).toBe(false)
    writeFileSync(join(directory, 'promote'), '')
    expect(await promoteRequested(directory)).toBe(true)
  })
})

test('the files that wait to be archived are those with a .ready', async () => {
  const directory = dataDirectory()
  mkdirSync(join(directory, 'pg_wal/archive_status'), { recursive: true })
  const names = ['000000010000000000000003.done', '000000010000000000000004.ready', '00000002.history.ready']
  for (const name of names) writeFileSync(join(directory, 'pg_wal/archive_status', name), '')
  expect(await waitingWalFiles(directory)).toEqual(new Set(['000000010000000000000004', '00000002.history']))
})
