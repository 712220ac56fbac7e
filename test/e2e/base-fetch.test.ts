/** base-fetch and what can be wrong: leftovers of other recoveries, bad targets, damaged and hostile archives, kill -9. */
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { type FileEntry, type FilesEntry, formatFilesLine } from '../../src/base/files-list.ts'
import { END_OF_ARCHIVE, formatHeader, paddingOf, type TarMember } from '../../src/base/tar.ts'
import { openCodec } from '../../src/codec/open.ts'
import type { TestArchive } from '../support/archive.ts'
import {
  type ArchivingCluster,
  archiveEverything,
  archivingCluster,
  backupDirectory,
  newDirectory,
  type PushedBackup,
  restoreBackup,
  takeBackup,
} from '../support/base-backups.ts'
import { openCluster } from '../support/cluster.ts'
import { binDirectory } from '../support/installation.ts'
import { canMount, mountSmall } from '../support/mount.ts'
import { finish, killGroup, run, start } from '../support/processes.ts'
import { seededRandom } from '../support/random.ts'
import { giveToServersUser } from '../support/servers-user.ts'
import { temporaryDirectory } from '../support/temporary.ts'
import { snapshot } from '../support/tree.ts'

describe.each([13, 15, 18] as const)('leftovers of other recoveries, PostgreSQL %s', (version) => {
  test('in postgresql.conf and postgresql.auto.conf do not disturb', async () => {
    const source = await archivingCluster({ version })
    const { archive, cluster } = source
    cluster.configure({
      recovery_target_time: '2020-01-01 00:00:00+00',
      recovery_target_inclusive: 'off',
      recovery_target_action: 'shutdown',
      recovery_target_timeline: '7',
      restore_command: '/bin/false',
      recovery_end_command: '/bin/false',
      recovery_min_apply_delay: '1h',
    })
    appendFileSync(
      join(cluster.dataDirectory, 'postgresql.auto.conf'),
      "recovery_target_xid = '3'\nrecovery_min_apply_delay = '1h'\nprimary_conninfo = 'host=nowhere'\nwork_mem = '5MB'\n",
    )
    await cluster.query('create table t as select generate_series(1, 10) as n')
    await takeBackup(source)
    const name = 'here'
    await cluster.query(`select pg_create_restore_point('${name}')`)
    await cluster.query('delete from t')
    await archiveEverything(cluster)
    const targets: [string[], number][] = [
      [['--target-name', name, 'latest'], 10],
      [[], 0],
    ]
    for (const [args, expected] of targets) {
      const { restored } = await restoreBackup(archive, version, args)
      await restored.start()
      await restored.waitForPromotion()
      expect(Number(await restored.value('select count(*) from t')), args.join(' ')).toBe(expected)
      expect(await restored.value("select current_setting('work_mem')")).toBe('5MB')
      await restored.dispose()
    }
  })
})

describe('targets of every kind of timeline', () => {
  test('a restored cluster that keeps archiving forks the history; recovery goes along either branch', async () => {
    const source = await archivingCluster({ version: 18 })
    const { archive, cluster } = source
    await cluster.query('create table t (what text)')
    await takeBackup(source)
    await cluster.query("insert into t values ('common')")
    const lsn = await cluster.value<string>("select pg_create_restore_point('fork')::text")
    await cluster.query("insert into t values ('timeline 1')")
    await archiveEverything(cluster)

    const copy = await restoreBackup(archive, 18, ['--target-lsn', lsn, '--keep-archiving'])
    expect(copy.result.stdout.trimEnd().split('\n').at(-1)).toMatch(/^archive_mode is as it was/)
    await copy.restored.start()
    await copy.restored.waitForPromotion()
    await copy.restored.query("insert into t values ('timeline 2')")
    await archiveEverything(copy.restored)
    // The old primary goes on as well: two live branches.
    await archiveEverything(cluster)

    const ambiguous = await archive.call('base-fetch', [newDirectory()])
    expect(ambiguous).toMatchObject({ code: 9, stdout: '' })
    expect(ambiguous.stderr).toMatch(/timeline 1:[\s\S]*timeline 2: left timeline 1 at 0\/[\s\S]*--target-timeline/)
    for (const [timeline, expected] of [
      ['1', ['common', 'timeline 1']],
      ['2', ['common', 'timeline 2']],
    ] as const) {
      const { restored } = await restoreBackup(archive, 18, ['--target-timeline', timeline])
      await restored.start()
      await restored.waitForPromotion()
      const rows = await restored.query<{ what: string }>('select what from t')
      expect(rows.map(({ what }) => what)).toEqual(expected)
      await restored.dispose()
    }

    const standby = await restoreBackup(archive, 18, ['--standby', '--target-timeline', '2'])
    expect(existsSync(join(standby.restored.dataDirectory, 'standby.signal'))).toBe(true)
    expect(existsSync(join(standby.restored.dataDirectory, 'recovery.signal'))).toBe(false)
    await standby.restored.start()
    await standby.restored.waitForRow("select 1 from t where what = 'timeline 2'")
    expect(await standby.restored.value('select pg_is_in_recovery()')).toBe(true)
    await standby.restored.dispose()

    // A backup of the promoted copy, whose files carry what the recovery left, is restored too.
    const second = { archive, cluster: copy.restored }
    const backup = await takeBackup(second)
    expect(backup.timeline).toBe(2)
    await archiveEverything(copy.restored)
    const again = await restoreBackup(archive, 18, ['--target-timeline', '2', backup.id])
    await again.restored.start()
    await again.restored.waitForPromotion()
    expect(Number(await again.restored.value("select count(*) from t where what = 'timeline 2'"))).toBe(1)
  })
})

describe('an archive with one backup', () => {
  let source: ArchivingCluster
  let archive: TestArchive
  let backup: PushedBackup
  let tablespace: string
  let mapping: () => string[]

  beforeAll(async () => {
    source = await archivingCluster({ version: 18 })
    archive = source.archive
    tablespace = temporaryDirectory()
    await source.cluster.query(`create tablespace elsewhere location '${tablespace}'`)
    await source.cluster.query('create table e tablespace elsewhere as select generate_series(1, 10) as n')
    await source.cluster.query('create table t as select generate_series(1, 20000) as n')
    backup = await takeBackup(source)
    await archiveEverything(source.cluster)
    await source.cluster.stop()
    mapping = () => ['--tablespace', `${tablespace}=${newDirectory('tablespace')}`]
  })

  test.each([
    [2, ['--target-time', '2026-11-22 03:15:00'], /time zone/],
    [2, ['--target-time', '2026-11-22 03:15:00+00', '--target-lsn', '0/3000000'], /--target-time is given too/],
    [2, ['--target-xid', '7'], /"latest"/],
    [2, ['20261122'], /it is no id of a backup/],
    [9, ['--target-time', '2020-01-01 00:00:00+00'], /earliest possible target is time 20/],
    [9, ['--target-lsn', '0/100'], /earliest possible target is LSN 0\//],
    [9, ['--target-lsn', 'FF/0'], /beyond the archived WAL/],
    [9, ['--target-timeline', '5'], /nothing of it is archived/],
    [9, ['20200101T000000Z_000000010000000000000001'], /there is none of that id/],
    [4, ['--cluster', 'other'], /nothing is archived under that name/],
    [2, ['--tablespace', '/nowhere=/else'], /no tablespace at \/nowhere/],
  ])('exit code %s for %j', async (code, args, message) => {
    const directory = newDirectory()
    const result = await archive.call('base-fetch', [...args, directory])
    expect(result.stderr).toMatch(message)
    expect(result).toMatchObject({ code, stdout: '' })
    expect(existsSync(directory)).toBe(false)
  })

  test('a directory that is not empty, or is none, is left as it is', async () => {
    const directory = temporaryDirectory()
    writeFileSync(join(directory, 'mine'), 'precious')
    const before = snapshot(directory)
    const full = await archive.call('base-fetch', [...mapping(), directory])
    expect(full).toMatchObject({ code: 3, stdout: '' })
    expect(full.stderr).toMatch(/not empty: it holds mine/)
    const file = await archive.call('base-fetch', [...mapping(), join(directory, 'mine')])
    expect(file).toMatchObject({ code: 3, stdout: '' })
    expect(snapshot(directory)).toEqual(before)
    const taken = newDirectory()
    const result = await archive.call('base-fetch', ['--tablespace', `${tablespace}=${directory}`, taken])
    expect(result).toMatchObject({ code: 3 })
    expect(snapshot(directory)).toEqual(before)
    expect(existsSync(taken)).toBe(false)
  })

  test('the data directory of a running server is refused with its process', async () => {
    const other = await archivingCluster()
    const result = await archive.call('base-fetch', [...mapping(), other.cluster.dataDirectory])
    expect(result).toMatchObject({ code: 3, stdout: '' })
    expect(result.stderr).toContain(`a PostgreSQL server runs on it (process ${other.cluster.pid})`)
    expect(await other.cluster.value('select 1')).toBe(1)
  })

  test('an empty directory, and a path with spaces and quotes, are restored into', async () => {
    const directory = join(temporaryDirectory(), `it's a "place" with 100%p \\ more`)
    await run(['mkdir', '-m', '755', directory])
    const { restored, result } = await restoreBackup(archive, 18, mapping(), directory)
    expect(statSync(directory).mode & 0o7777).toBe(0o700)
    expect(result.stdout).toMatch(/pg_ctl -D /)
    await restored.start()
    await restored.waitForPromotion()
    expect(Number(await restored.value('select count(*) from t, e'))).toBe(200_000)
  })

  /** A copy of the archive that can be damaged. */
  function copyArchive(): TestArchive & { readonly backup: string } {
    const root = join(temporaryDirectory(), 'archive')
    cpSync(archive.root, root, { recursive: true })
    giveToServersUser(root)
    const config = join(root, '../seawall.yaml')
    writeFileSync(config, `archive: file://${root}\nstate-dir: ${archive.stateDirectory}\n`)
    const call: TestArchive['call'] = (executable, args, options) =>
      run([join(binDirectory(), executable), '--config', config, ...args], options)
    const copy = { ...archive, root, url: `file://${root}`, config, call }
    return { ...copy, backup: backupDirectory(copy, backup) }
  }

  async function expectRefusedRestore(copy: TestArchive, codes: readonly number[], message: RegExp): Promise<void> {
    const directory = newDirectory()
    const result = await copy.call('base-fetch', [...mapping(), directory])
    expect(result.stderr).toMatch(message)
    expect(codes, result.stderr).toContain(result.code)
    expect(result.stdout).toBe('')
    if (!existsSync(directory)) return
    // What was begun cannot be started, and that is said.
    expect(result.stderr).toContain(`${directory} is incomplete`)
    expect(existsSync(join(directory, 'global/pg_control'))).toBe(false)
    const ending = await openCluster({ version: 18, dataDirectory: directory }).startAndFail()
    expect(ending.code).not.toBe(0)
  }

  const objects = [
    'part-00001.tar.zst',
    'part-00002.tar.zst',
    'part-00003.tar.zst',
    'files.jsonl.zst',
    'backup_manifest.zst',
  ]

  test.each(objects)('%s with a changed byte anywhere is refused', async (name) => {
    const random = seededRandom(`damaged ${name}`)
    const size = statSync(join(backupDirectory(archive, backup), name)).size
    const positions = [0, 5, 20, size >> 1, size - 1, random.below(size)]
    const copy = copyArchive()
    const path = join(copy.backup, name)
    const whole = readFileSync(path)
    for (const position of positions) {
      const damaged = Buffer.from(whole)
      damaged[position]! ^= 1 + random.below(255)
      writeFileSync(path, damaged)
      await expectRefusedRestore(copy, [6], /damaged/)
    }
  })

  test.each(objects)('%s cut, longer or missing is left out, and the backup with it', async (name) => {
    const copy = copyArchive()
    const path = join(copy.backup, name)
    const whole = readFileSync(path)
    for (const bytes of [whole.subarray(0, -1), Buffer.concat([whole, Buffer.from([0])]), Buffer.alloc(0), undefined]) {
      rmSync(path)
      if (bytes) writeFileSync(path, bytes)
      else mkdirSync(join(copy.root, 'empty'))
      await expectRefusedRestore(copy, [9], new RegExp(`backup ${backup.id} is left out: ${name} is missing`))
    }
  })

  test('a damaged backup.json is refused whatever is wrong with it', async () => {
    const copy = copyArchive()
    const path = join(copy.backup, 'backup.json')
    const record = JSON.parse(readFileSync(path, 'utf8'))
    const changes: [string, RegExp, number][] = [
      ['', /it is not JSON/, 9],
      ['{"formatVersion":1', /it is not JSON/, 9],
      [JSON.stringify({ ...record, formatVersion: 2 }), /format version 2/, 9],
      [JSON.stringify({ ...record, parts: 7 }), /"parts"/, 9],
      [JSON.stringify({ ...record, systemIdentifier: '7' }), /belongs elsewhere/, 9],
      [JSON.stringify({ ...record, fileCount: record.fileCount + 1 }), /backup.json says/, 6],
      [JSON.stringify({ ...record, parts: record.parts.toReversed() }), /"parts"/, 9],
      [JSON.stringify({ ...record, tablespaces: [] }), /does not name|no tablespace/, 2],
    ]
    for (const [text, message, code] of changes) {
      writeFileSync(path, text)
      await expectRefusedRestore(copy, [code], message)
    }
  })

  test('WAL that is missing between backup and target is named', async () => {
    const copy = copyArchive()
    const wal = join(copy.backup, '../../wal/0000000100000000')
    const segments = readdirSync(wal)
      .filter((name) => /^[0-9A-F]{24}\.zst$/.test(name))
      .sort()
    const start = segments.findIndex((name) => name.startsWith(backup.id.slice(17)))
    const last = segments.length - 1
    expect(last).toBeGreaterThan(start)
    rmSync(join(wal, segments[start]!))
    const directory = newDirectory()
    const result = await copy.call('base-fetch', [...mapping(), directory])
    expect(result).toMatchObject({ code: 9, stdout: '' })
    expect(result.stderr).toContain(`${segments[start]!.slice(0, 24)}, which the backup itself needs`)
    expect(existsSync(directory)).toBe(false)
  })

  interface HostileMember extends TarMember {
    readonly content?: string
    /** What the list of files says otherwise. */
    readonly listed?: Partial<FileEntry>
  }

  /** A backup whose only part holds these members, consistent in every hash. */
  async function hostileArchive(
    members: readonly HostileMember[],
    tablespaceOid: number | null = null,
  ): Promise<TestArchive> {
    const copy = copyArchive()
    const codec = await openCodec()
    const path = join(copy.backup, 'backup.json')
    const record = JSON.parse(readFileSync(path, 'utf8'))
    const store = (name: string, plain: Buffer) => {
      const bytes = codec.compress(plain, 1)
      writeFileSync(join(copy.backup, name), bytes)
      return { name, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
    }
    const blocks = members.flatMap((member) => {
      const content = Buffer.from(member.content ?? '')
      const header = formatHeader({ ...member, size: content.length }, { uid: 0, gid: 0 })
      return [header, content, Buffer.alloc(paddingOf(content.length))]
    })
    const tar = Buffer.concat([...blocks, END_OF_ARCHIVE])
    const lines = members.map(({ kind, name, mode, mtime, content = '', listed }) => {
      const below = listed?.path ?? (tablespaceOid === null ? name : `pg_tblspc/${tablespaceOid}/${name}`)
      const sha256 = createHash('sha256').update(content).digest('hex')
      const frame = { frameOffset: 0, frameLength: 1, offsetInFrame: 0 }
      const entry: FilesEntry =
        kind === 'directory'
          ? { kind, path: below, mode, part: 1 }
          : { kind, path: below, mode, part: 1, size: content.length, mtime, sha256, ...frame, ...listed }
      return formatFilesLine(entry)
    })
    const files = members.filter(({ kind }) => kind === 'file')
    record.parts = [{ ...store('part-00001.tar.zst', tar), number: 1, tablespace: tablespaceOid, tarSize: tar.length }]
    record.files = store('files.jsonl.zst', Buffer.from(lines.join('')))
    record.fileCount = files.length
    record.totalSize = files.reduce((sum, { content = '' }) => sum + content.length, 0)
    writeFileSync(path, JSON.stringify(record))
    return copy
  }

  const file = (name: string, content = 'evil'): TarMember & { content: string } => ({
    kind: 'file',
    name,
    mode: 0o600,
    mtime: 1,
    size: 0,
    content,
  })
  const directory = (name: string): TarMember => ({ kind: 'directory', name, mode: 0o700, mtime: 1, size: 0 })

  test.each<[string, HostileMember[], RegExp]>([
    ['a name with ..', [{ ...file('../escaped'), listed: { path: 'escaped' } }], /is refused/],
    ['a name with .. in the list too', [file('../escaped')], /is refused/],
    ['an absolute name', [{ ...file('/tmp/sw-escaped'), listed: { path: 'tmp/sw-escaped' } }], /is refused/],
    ['a name with . components', [{ ...file('base/./x'), listed: { path: 'base/x' } }], /is refused/],
    ['a file in a directory that was not made', [file('base/1/x')], /holds no directory for it/],
    ['a file twice', [file('twice'), file('twice')], /exists already/],
    ['a directory over a file', [file('twice'), directory('twice')], /exists already/],
    ['a file below a file', [file('twice'), file('twice/below')], /holds no directory for it/],
    ['other names than the list', [{ ...file('one'), listed: { path: 'other' } }], /where the list of files has/],
    [
      'content that is not the listed one',
      [{ ...file('one'), listed: { sha256: '0'.repeat(64) } }],
      /does not match its SHA-256/,
    ],
    ['a size that is not the listed one', [{ ...file('one'), listed: { size: 3 } }], /where the list of files has/],
    ['a mode that is not the listed one', [{ ...file('one'), listed: { mode: 0o777 } }], /where the list of files has/],
    ['a time that is not the listed one', [{ ...file('one'), listed: { mtime: 2 } }], /where the list of files has/],
    ['a part that is not the listed one', [{ ...file('one'), listed: { part: 2 } }], /where the list of files has/],
    ['a file where the tablespace is linked', [directory('pg_tblspc'), file('pg_tblspc/16384')], /./],
    [
      'no pg_control',
      [directory('global'), file('PG_VERSION', '18\n'), directory('pg_tblspc')],
      /holds no global\/pg_control/,
    ],
    [
      'a signal file of its own',
      [directory('global'), file('global/pg_control'), directory('pg_tblspc'), file('recovery.signal', '')],
      /exists already/,
    ],
    [
      'a pg_control that is too large',
      [directory('global'), file('global/pg_control', 'x'.repeat(70_000))],
      /which it never has/,
    ],
  ])('a hostile backup with %s writes nothing outside', async (_what, members, message) => {
    const copy = await hostileArchive(members)
    const parent = temporaryDirectory()
    const target = join(parent, 'restored')
    const [place] = [newDirectory('tablespace')]
    const result = await copy.call('base-fetch', ['--tablespace', `${tablespace}=${place}`, target])
    expect(result.code, result.stderr).toBeGreaterThan(0)
    expect(result.stderr).toMatch(message)
    expect(readdirSync(parent).filter((name) => name !== 'restored')).toEqual([])
    expect(existsSync('/tmp/sw-escaped')).toBe(false)
    expect(existsSync(join(target, 'global/pg_control'))).toBe(false)
  })

  test.each<[string, HostileMember[]]>([
    ['a file beside its version directory', [directory('PG_18_1'), file('evil')]],
    ['two version directories', [directory('PG_18_1'), directory('PG_18_2')]],
    ['the directory of another version', [directory('PG_17_1')]],
    ['another directory', [directory('PG_18_x')]],
  ])('a hostile part of a tablespace with %s is refused', async (_what, members) => {
    const record = JSON.parse(readFileSync(join(backupDirectory(archive, backup), 'backup.json'), 'utf8'))
    const copy = await hostileArchive(members, record.tablespaces[0].oid)
    await expectRefusedRestore(copy, [6], /which no tablespace of PostgreSQL 18 does/)
  })

  test('setuid bits are not restored', async () => {
    const members = [
      directory('global'),
      { ...directory('pg_tblspc'), mode: 0o2750 },
      { ...file('setuid'), mode: 0o6755 },
      file('global/pg_control'),
    ]
    const copy = await hostileArchive(members)
    const target = newDirectory()
    const result = await copy.call('base-fetch', [...mapping(), target])
    expect(result.code, result.stderr).toBe(0)
    expect(statSync(join(target, 'setuid')).mode & 0o7777).toBe(0o755)
    expect(statSync(join(target, 'pg_tblspc')).mode & 0o7777).toBe(0o750)
  })

  test('a symbolic link to an empty directory is a place to restore into, one to nowhere is not', async () => {
    const parent = temporaryDirectory()
    await run(['mkdir', join(parent, 'real')])
    symlinkSync(join(parent, 'real'), join(parent, 'link'))
    const result = await archive.call('base-fetch', [...mapping(), join(parent, 'link')])
    expect(result.code, result.stderr).toBe(0)
    expect(existsSync(join(parent, 'real/global/pg_control'))).toBe(true)
    await run(['mkdir', join(parent, 'other')])
    symlinkSync(join(parent, 'other'), join(parent, 'way'))
    const below = await archive.call('base-fetch', [...mapping(), join(parent, 'way/new/restored')])
    expect(below.code, below.stderr).toBe(0)
    expect(below.stdout).toContain(`to ${join(parent, 'other/new/restored')}\n`)
    symlinkSync(join(parent, 'nowhere'), join(parent, 'dangling'))
    expect((await archive.call('base-fetch', [...mapping(), join(parent, 'dangling')])).code).toBe(12)
  })

  test.skipIf(!canMount)('a disk that is full leaves a directory that cannot be started', async () => {
    const target = join(mountSmall('8m'), 'restored')
    const result = await archive.call('base-fetch', [...mapping(), target])
    expect(result).toMatchObject({ code: 12, stdout: '' })
    expect(result.stderr).toMatch(/ENOSPC|no space/i)
    expect(result.stderr).toContain(`${target} is incomplete`)
    expect(existsSync(join(target, 'global/pg_control'))).toBe(false)
  })

  const strace = '/usr/bin/strace'

  test.skipIf(!existsSync(strace))('pg_control is created when everything else is on disk', async () => {
    const target = newDirectory()
    const log = join(temporaryDirectory(), 'calls')
    const calls = ['-f', '-y', '-e', 'trace=openat,fsync', '-o', log]
    const place = newDirectory('tablespace')
    const args = ['--config', archive.config, '--tablespace', `${tablespace}=${place}`, target]
    const result = await run([strace, ...calls, join(binDirectory(), 'base-fetch'), ...args])
    expect(result.code, result.stderr).toBe(0)
    const lines = readFileSync(log, 'utf8').split('\n')
    const control = lines.findIndex((line) => /openat\(.*global\/pg_control", O_WRONLY.*O_CREAT/.test(line))
    expect(control).toBeGreaterThan(0)
    const synced = (from: number, to: number) =>
      new Set(lines.slice(from, to).flatMap((line) => /fsync\(\d+<([^>]*)>/.exec(line)?.[1] ?? []))
    const before = synced(0, control)
    const restored = Object.keys(snapshot(target)).filter((path) => !/^pg_tblspc\/\d+/.test(path))
    expect(restored.length).toBeGreaterThan(900)
    const expected = [target, place, ...restored.map((path) => join(target, path))]
    expected.push(...Object.keys(snapshot(place)).map((path) => join(place, path)))
    for (const path of expected) if (path !== join(target, 'global/pg_control')) expect(before, path).toContain(path)
    expect(synced(control, lines.length)).toContain(join(target, 'global/pg_control'))
    expect(synced(control, lines.length)).toContain(join(target, 'global'))
    const created = lines.slice(control + 1).filter((line) => line.includes('O_CREAT') && line.includes(target))
    expect(created).toEqual([])
  })

  test('kill -9 at any moment leaves a directory that cannot be started, or a whole one', async () => {
    const random = seededRandom('base-fetch killed')
    const begun = performance.now()
    await restoreBackup(archive, 18, mapping())
    const duration = performance.now() - begun
    let killed = 0
    for (let round = 0; round < 12; round++) {
      const target = newDirectory()
      const argv = [join(binDirectory(), 'base-fetch'), '--config', archive.config, ...mapping(), target]
      const child = start(argv)
      const ended = finish(child, 'base-fetch')
      const timer = setTimeout(() => killGroup(child.pid!), random.next() * duration * 1.05)
      const { signal, code } = await ended
      clearTimeout(timer)
      const cluster = openCluster({ version: 18, dataDirectory: target })
      if (signal === 'SIGKILL' && !existsSync(join(target, 'global/pg_control'))) {
        killed += 1
        expect((await cluster.startAndFail()).code).not.toBe(0)
        continue
      }
      expect(code ?? signal, 'whole').toSatisfy((ending) => ending === 0 || ending === 'SIGKILL')
      await cluster.start()
      await cluster.waitForPromotion()
      expect(Number(await cluster.value('select count(*) from t'))).toBe(20_000)
      await cluster.dispose()
    }
    expect(killed).toBeGreaterThan(2)
  })
})
