import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { bytePathOf } from '../../src/base/byte-path.ts'
import { listTablespaces, type ScanEntry, scanDataDirectory, scanTablespace } from '../../src/base/scan.ts'
import { openSource } from '../../src/base/source-file.ts'
import type { Clock } from '../../src/core/clock.ts'
import { temporaryDirectory } from '../support/temporary.ts'

/** Makes files (and directories, with a slash at the end) below a directory. */
function place(directory: string, paths: readonly string[]): void {
  for (const path of paths) {
    const full = join(directory, path)
    mkdirSync(path.endsWith('/') ? full : dirname(full), { recursive: true })
    if (!path.endsWith('/')) writeFileSync(full, path)
  }
}

async function scan(directory: string): Promise<{ entries: ScanEntry[]; warnings: string[] }> {
  const warnings: string[] = []
  const entries: ScanEntry[] = []
  const root = bytePathOf(directory)
  const tablespaces = await listTablespaces(root)
  for await (const entry of scanDataDirectory(root, tablespaces, (message) => warnings.push(message)))
    entries.push(entry)
  return { entries, warnings }
}

async function pathsOf(directory: string): Promise<string[]> {
  const { entries } = await scan(directory)
  return entries.map(({ kind, path }) => (kind === 'directory' ? `${path}/` : path))
}

test('leaves out what PostgreSQL leaves out, and keeps the rest in byte order', async () => {
  const directory = temporaryDirectory()
  const emptied = ['pg_dynshmem', 'pg_notify', 'pg_replslot', 'pg_serial', 'pg_snapshots', 'pg_stat_tmp', 'pg_subtrans']
  place(directory, [
    ...emptied.flatMap((name) => [`${name}/`, `${name}/content`, `${name}/deep/er`]),
    ...['PG_VERSION', 'postgresql.conf', 'postgresql.auto.conf', 'pg_hba.conf', 'current_logfiles'],
    ...['postgresql.auto.conf.tmp', 'current_logfiles.tmp', 'postmaster.pid', 'postmaster.opts'],
    ...['backup_label', 'tablespace_map', 'backup_manifest', 'recovery.signal', 'standby.signal', 'backup_label.old'],
    ...[
      'global/pg_control',
      'global/pg_filenode.map',
      'global/1262',
      'global/pg_internal.init',
      'global/pg_internal.init.42',
      'global/pg_filenode.map.tmp',
      'base/1/pg_filenode.map.tmp',
    ],
    ...['pg_wal/000000010000000000000001', 'pg_wal/archive_status/x.done', 'pg_wal/summaries/y', 'pg_wal/other/'],
    ...['pg_xact/0000', 'pg_tblspc/', 'pg_logical/snapshots/', 'base/pgsql_tmp/pgsql_tmp1.1', 'base/1/pgsql_tmp9'],
    ...[
      'base/1/1259',
      'base/1/1259_fsm',
      'base/1/1259_vm',
      'base/1/1259.1',
      'base/1/pg_internal.init',
      'base/1/PG_VERSION',
    ],
    // Unlogged: only the init forks are kept.
    ...[
      'base/1/900',
      'base/1/900.1',
      'base/1/900_fsm',
      'base/1/900_vm',
      'base/1/900_init',
      'base/1/900_init.1',
      'base/1/9001',
    ],
    // Temporary.
    ...['base/1/t3_16390', 'base/1/t3_16390.2', 'base/1/t3_16390_fsm', 'base/1/t3_16390_vm'],
    // In-place tablespace.
    ...[
      'pg_tblspc/16500/PG_18_202506291/5/16501',
      'pg_tblspc/16500/PG_18_202506291/5/16502',
      'pg_tblspc/16500/PG_18_202506291/5/16502_init',
    ],
    // Not database directories: the same names are ordinary files.
    ...['log/900', 'log/900_init', 'log/t3_16390'],
  ])
  expect(await pathsOf(directory)).toEqual([
    ...['PG_VERSION', 'backup_label.old', 'base/', 'base/1/'],
    ...[
      'base/1/1259',
      'base/1/1259.1',
      'base/1/1259_fsm',
      'base/1/1259_vm',
      'base/1/9001',
      'base/1/900_init',
      'base/1/900_init.1',
    ],
    ...['base/1/PG_VERSION', 'current_logfiles', 'global/', 'global/1262', 'global/pg_filenode.map'],
    ...['log/', 'log/900', 'log/900_init', 'log/t3_16390'],
    ...[
      'pg_dynshmem/',
      'pg_hba.conf',
      'pg_logical/',
      'pg_logical/snapshots/',
      'pg_notify/',
      'pg_replslot/',
      'pg_serial/',
    ],
    ...[
      'pg_snapshots/',
      'pg_stat_tmp/',
      'pg_subtrans/',
      'pg_tblspc/',
      'pg_tblspc/16500/',
      'pg_tblspc/16500/PG_18_202506291/',
    ],
    ...['pg_tblspc/16500/PG_18_202506291/5/', 'pg_tblspc/16500/PG_18_202506291/5/16501'],
    ...['pg_tblspc/16500/PG_18_202506291/5/16502_init', 'pg_wal/', 'pg_wal/archive_status/', 'pg_wal/summaries/'],
    ...['pg_xact/', 'pg_xact/0000', 'postgresql.auto.conf', 'postgresql.conf'],
  ])
})

test('symbolic links: pg_wal and emptied directories become directories, tablespaces are listed, others are skipped', async () => {
  const elsewhere = temporaryDirectory()
  const directory = temporaryDirectory()
  place(elsewhere, [
    'wal/archive_status/',
    'wal/000000010000000000000001',
    'stat/x',
    'fast/PG_18_202506291/5/16390',
    'conf',
  ])
  place(elsewhere, ['fast/PG_17_202406281/5/1', 'fast/else'])
  place(directory, ['pg_tblspc/', 'inside/PG_18_202506291/5/16391', 'base/'])
  symlinkSync(join(elsewhere, 'wal'), join(directory, 'pg_wal'))
  symlinkSync(join(elsewhere, 'stat'), join(directory, 'pg_stat_tmp'))
  symlinkSync(join(elsewhere, 'conf'), join(directory, 'postgresql.conf'))
  symlinkSync(join(elsewhere, 'fast'), join(directory, 'pg_tblspc/16384'))
  symlinkSync(join(directory, 'inside'), join(directory, 'pg_tblspc/16385'))
  expect(spawnSync('mkfifo', [join(directory, 'fifo')]).status).toBe(0)

  const { entries, warnings } = await scan(directory)
  expect(entries.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
    'directory base',
    // A tablespace inside the data directory is backed up as a tablespace, and not twice.
    'directory inside',
    'directory pg_stat_tmp',
    'directory pg_tblspc',
    'directory pg_wal',
    'directory pg_wal/archive_status',
  ])
  expect(warnings).toEqual([
    expect.stringContaining('fifo: it is a special file'),
    expect.stringContaining('postgresql.conf: it is a symbolic link'),
  ])
  const tablespaces = await listTablespaces(bytePathOf(directory))
  expect(tablespaces).toEqual([
    { oid: 16384, location: join(elsewhere, 'fast') },
    { oid: 16385, location: join(directory, 'inside') },
  ])
  const found: string[] = []
  for await (const { path } of scanTablespace(tablespaces[0]!, 'PG_18_202506291', () => {})) found.push(path)
  expect(found).toEqual(
    ['PG_18_202506291', 'PG_18_202506291/5', 'PG_18_202506291/5/16390'].map((path) => `pg_tblspc/16384/${path}`),
  )
})

test('relative links of tablespaces are resolved where they stand, also behind a link to the data directory', async () => {
  const parent = temporaryDirectory()
  const directory = join(parent, 'deep/data')
  place(directory, ['pg_tblspc/'])
  symlinkSync('../../../ts', join(directory, 'pg_tblspc/16384'))
  expect(await listTablespaces(bytePathOf(directory))).toEqual([{ oid: 16384, location: join(parent, 'ts') }])
  symlinkSync('deep/data', join(parent, 'link'))
  expect(await listTablespaces(bytePathOf(join(parent, 'link')))).toEqual([
    { oid: 16384, location: join(parent, 'ts') },
  ])
})

test('a tablespace whose location is not UTF-8 is refused', async () => {
  const directory = temporaryDirectory()
  place(directory, ['pg_tblspc/'])
  symlinkSync(Buffer.from([0x2f, 0xe9, 0xff]), join(directory, 'pg_tblspc/16384'))
  await expect(listTablespaces(bytePathOf(directory))).rejects.toMatchObject({
    code: 'refused',
    reason: expect.stringContaining('not valid UTF-8'),
  })
})

test('names that are not UTF-8 keep their bytes', async () => {
  const directory = temporaryDirectory()
  const name = Buffer.from([0x6c, 0xe9, 0xff])
  writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), name]), 'x')
  const { entries } = await scan(directory)
  expect(entries.map(({ path }) => Buffer.from(path, 'latin1'))).toEqual([name])
  const source = await openSource(entries[0]!)
  expect(source?.entry.size).toBe(1)
  await source?.close()
})

/** Sleeps take no time; `onSleep` is told how many there were. */
function fastClock(onSleep: (sleeps: number) => void = () => {}): Clock {
  let now = 0
  let sleeps = 0
  return {
    now: () => new Date(now),
    monotonic: () => now,
    sleep: async (milliseconds) => {
      now += milliseconds
      onSleep(++sleeps)
    },
  }
}

async function contentOf(
  entry: ScanEntry,
  meanwhile: () => void = () => {},
  clock = fastClock(),
): Promise<Buffer | undefined> {
  const source = await openSource(entry, { clock })
  if (!source) return undefined
  try {
    meanwhile()
    const chunks: Buffer[] = []
    for await (const chunk of source.read(new Uint8Array(8))) chunks.push(Buffer.from(chunk))
    return Buffer.concat(chunks)
  } finally {
    await source.close()
  }
}

async function entryAt(directory: string, path: string): Promise<ScanEntry> {
  place(directory, [path])
  writeFileSync(join(directory, path), '0123456789abcdef0123')
  const { entries } = await scan(directory)
  return entries.find((entry) => entry.path === path)!
}

test.each(['base/1/16384', 'pg_xact/0000', 'global/1262'])('%s may shrink, grow and vanish', async (path) => {
  const directory = temporaryDirectory()
  const entry = await entryAt(directory, path)
  const full = join(directory, path)
  expect(await contentOf(entry, () => writeFileSync(full, '0123'))).toEqual(Buffer.from(`0123${'\0'.repeat(16)}`))
  writeFileSync(full, '0123456789abcdef0123')
  expect(await contentOf(entry, () => writeFileSync(full, '0123456789abcdef0123, and more'))).toEqual(
    Buffer.from('0123456789abcdef0123'),
  )
  rmSync(full)
  expect(await contentOf(entry)).toBeUndefined()
})

test.each(['base/1/PG_VERSION', 'base/1/pg_filenode.map', 'global/pg_filenode.map', 'global/other'])(
  '%s may neither shrink nor vanish',
  async (path) => {
    const directory = temporaryDirectory()
    const entry = await entryAt(directory, path)
    const full = join(directory, path)
    await expect(contentOf(entry, () => writeFileSync(full, '0123'))).rejects.toThrow(/ended after 4 of 20 bytes/)
    rmSync(full)
    await expect(contentOf(entry)).rejects.toMatchObject({
      code: 'refused',
      reason: expect.stringContaining('vanished'),
    })
  },
)

test.each(['PG_VERSION', 'pg_filenode.map'])('%s of a database that is dropped vanishes with it', async (name) => {
  const directory = temporaryDirectory()
  const entry = await entryAt(directory, `base/5/${name}`)
  const database = join(directory, 'base/5')
  rmSync(join(database, name))
  writeFileSync(join(database, 'rest'), '')
  const going = fastClock((sleeps) => {
    if (sleeps === 20) rmSync(database, { recursive: true })
  })
  expect(await contentOf(entry, () => {}, going)).toBeUndefined()
  expect(await contentOf(entry)).toBeUndefined()
})

test('a file that became a symbolic link is an error, and not followed', async () => {
  const directory = temporaryDirectory()
  const entry = await entryAt(directory, 'base/1/16384')
  rmSync(join(directory, 'base/1/16384'))
  symlinkSync('/etc/hostname', join(directory, 'base/1/16384'))
  await expect(contentOf(entry)).rejects.toMatchObject({ code: 'local-io' })
})

test('size, permissions and time are those of the moment when the file is opened', async () => {
  const directory = temporaryDirectory()
  const found = await entryAt(directory, 'base/1/16384')
  const full = join(directory, 'base/1/16384')
  writeFileSync(full, 'longer than it was before')
  chmodSync(full, 0o640)
  utimesSync(full, 1_700_000_000, 1_700_000_000.75)
  const source = await openSource(found)
  expect(source!.entry).toMatchObject({ size: 25, mode: 0o640, mtime: 1_700_000_000 })
  await source!.close()
})
