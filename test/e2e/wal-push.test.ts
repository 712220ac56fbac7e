/** `wal-push` through its launcher, called as PostgreSQL calls it, on a data directory that no server uses. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readControlFile } from '../../src/postgres/pg-control.ts'
import { createArchive, type TestArchive } from '../support/archive.ts'
import { createCluster } from '../support/cluster.ts'
import { canMount, mountSmall, remountReadOnly } from '../support/mount.ts'
import { serversUser } from '../support/servers-user.ts'
import { temporaryDirectory } from '../support/temporary.ts'
import { filesBelow, snapshot } from '../support/tree.ts'
import { type WalPage, walSegment, walSegmentName } from '../support/wal-file.ts'

let dataDirectory: string
let systemIdentifier: bigint
let archive: TestArchive
let nextSegment = 100n

beforeAll(async () => {
  const cluster = await createCluster({ version: 18, start: false })
  dataDirectory = cluster.dataDirectory
  systemIdentifier = BigInt((await readControlFile(dataDirectory)).systemIdentifier)
})

beforeEach(() => {
  archive = createArchive()
})

const placed: string[] = []

afterEach(() => {
  for (const path of placed.splice(0)) rmSync(path, { force: true })
})

/** Writes a file as the user of the servers would have, and returns its path relative to the data directory. */
function place(name: string, bytes: Uint8Array | string): string {
  const path = join('pg_wal', name)
  writeFileSync(join(dataDirectory, path), bytes)
  placed.push(join(dataDirectory, path))
  return path
}

function placeSegment(page: Partial<WalPage> = {}, bytes?: (page: WalPage) => Uint8Array): string {
  const whole = { systemIdentifier, timeline: 1, address: nextSegment++ * (1n << 24n), ...page }
  return place(walSegmentName(whole), bytes ? bytes(whole) : walSegment(whole))
}

const push = (...args: string[]) => archive.call('wal-push', args, { cwd: dataDirectory })

describe('a WAL segment', () => {
  test('is archived whole, readable by the stock zstd, with exit code 0 and nothing on standard output', async () => {
    const path = placeSegment()
    const result = await push(path)
    expect(result).toMatchObject({ code: 0, stdout: '' })
    const name = path.slice('pg_wal/'.length)
    const key = `main/${systemIdentifier}/wal/${name.slice(0, 16)}/${name}.zst`
    expect(filesBelow(archive.root)).toEqual([`main/${systemIdentifier}/cluster.json`, key])
    const plain = spawnSync('zstd', ['-dc', join(archive.root, key)], { maxBuffer: 1 << 26 })
    expect(plain.stderr.toString()).toBe('')
    expect(plain.stdout.equals(readFileSync(join(dataDirectory, path)))).toBe(true)
    expect(statSync(join(archive.root, key)).mode & 0o777).toBe(0o640)
  })

  test('is found by an absolute path too, from any directory', async () => {
    const path = placeSegment()
    const result = await archive.call('wal-push', [join(dataDirectory, path)], { cwd: '/' })
    expect(result.code).toBe(0)
  })

  test('again is success, and says so', async () => {
    const path = placeSegment()
    await push(path)
    const before = snapshot(archive.root)
    const result = await push(path)
    expect(result.code).toBe(0)
    expect(result.stderr).toContain('in the archive already, with the same content')
    expect(snapshot(archive.root)).toEqual(before)
  })

  test('with other content under the same name fails with 1, names both sides and overwrites nothing', async () => {
    const address = nextSegment++ * (1n << 24n)
    await push(placeSegment({ address }))
    const before = snapshot(archive.root)
    const path = placeSegment({ address })
    const result = await push(path)
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/different content under the name main\/\d+\/wal\/0000000100000000\//)
    expect(result.stderr).toMatch(
      /this file: 16777216 bytes, SHA-256 [0-9a-f]{64}.*in the archive: 16777216 bytes, SHA-256/,
    )
    expect(result.stderr).toMatch(/HINT {2}.*two servers archive to one place/)
    expect(snapshot(archive.root)).toEqual(before)
  })

  test('that the archive holds damaged is not taken for archived', async () => {
    const path = placeSegment()
    await push(path)
    const object = join(archive.root, filesBelow(archive.root).find((file) => file.endsWith('.zst'))!)
    truncateSync(object, statSync(object).size - 1)
    const result = await push(path)
    expect(result.code).toBe(6)
    expect(result.stderr).toMatch(/could not read WAL object .*its header says/)
  })

  test('whose archived body was changed is not taken for archived either', async () => {
    const path = placeSegment()
    await push(path)
    const object = join(archive.root, filesBelow(archive.root).find((file) => file.endsWith('.zst'))!)
    const bytes = readFileSync(object)
    bytes[bytes.length - 20] = bytes[bytes.length - 20]! ^ 1
    chmodSync(object, 0o644)
    writeFileSync(object, bytes)
    const result = await push(path)
    expect(result.code).toBe(6)
    expect(result.stderr).toMatch(/HINT {2}The object is damaged/)
  })

  test.each(['none', 'zstd'])('is the same object name and content for compression %s', async (compression) => {
    const path = placeSegment()
    expect(await push('--compression', compression, path)).toMatchObject({ code: 0 })
    const other = compression === 'none' ? 'zstd' : 'none'
    const again = await push('--compression', other, path)
    expect(again.code).toBe(0)
    expect(again.stderr).toContain('already')
  })

  test.each([1 << 20, 1 << 26])('of %i bytes is archived and fetched', async (segmentSize) => {
    const address = nextSegment++ * (1n << 30n)
    const path = placeSegment({ segmentSize, address })
    expect(await push(path)).toMatchObject({ code: 0 })
    const destination = join(temporaryDirectory(), 'RECOVERYXLOG')
    const fetched = await archive.call('wal-fetch', [path.slice(7), destination, '--pgdata', dataDirectory])
    expect(fetched).toMatchObject({ code: 0 })
    expect(readFileSync(destination).equals(readFileSync(join(dataDirectory, path)))).toBe(true)
  })

  test('of an unknown page magic, as a new major writes, is archived with a warning', async () => {
    const path = placeSegment({}, (page) => {
      const bytes = walSegment(page)
      bytes.writeUInt16LE(0xd1ff, 0)
      return bytes
    })
    const result = await push(path)
    expect(result.code).toBe(0)
    expect(result.stderr).toMatch(/WARN.*page magic.*0xd1ff/)
  })

  test('of a lower timeline than its name says is the first of a new timeline, and right', async () => {
    const page = { systemIdentifier, timeline: 1, address: nextSegment++ * (1n << 24n) }
    const path = place(walSegmentName({ ...page, timeline: 2 }), walSegment(page))
    expect(await push(path)).toMatchObject({ code: 0 })
  })
})

describe('a file of another kind', () => {
  test('a history that PostgreSQL did not offer goes with the first segment of its timeline', async () => {
    place('00000002.history', '1\t0/3000000\tno recovery target specified\n')
    const result = await push(placeSegment({ timeline: 2 }))
    expect(result.code).toBe(0)
    expect(result.stderr).toContain('archived 00000002.history too')
    expect(filesBelow(archive.root)).toContain(`main/${systemIdentifier}/wal/history/00000002.history.zst`)
    const second = await push(placeSegment({ timeline: 2 }))
    expect(second).toMatchObject({ code: 0, stderr: expect.not.stringContaining('history') })
  })

  test('a damaged history beside a segment is told of, and does not keep the segment back', async () => {
    place('00000003.history', '')
    const result = await push(placeSegment({ timeline: 3 }))
    expect(result.code).toBe(0)
    expect(result.stderr).toMatch(/ERROR.*00000003\.history.*0 bytes/)
  })

  test('a history of a new major, whose pg_control does not tell the segment size, takes that of the archive', async () => {
    const history = place('00000002.history', '1\t0/3000000\tno recovery target specified\n')
    const identifier = ['--system-id', String(systemIdentifier)]
    const away = join(temporaryDirectory(), '00000002.history')
    copyFileSync(join(dataDirectory, history), away)
    const refused = await archive.call('wal-push', [...identifier, away])
    expect(refused.code).toBe(3)
    expect(refused.stderr).toMatch(/neither the file nor pg_control tells the WAL segment size/)
    await push(placeSegment())
    expect(await archive.call('wal-push', [...identifier, away])).toMatchObject({ code: 0 })
  })

  test('history files and backup history files are archived beside', async () => {
    const history = place('00000002.history', '1\t0/3000000\tno recovery target specified\n')
    const segment = '000000010000000000000007'
    const backup = place(
      `${segment}.00000028.backup`,
      `START WAL LOCATION: 0/7000028 (file ${segment})\nSTOP WAL LOCATION: 0/7000100 (file ${segment})\n`,
    )
    expect(await push(history)).toMatchObject({ code: 0 })
    expect(await push(backup)).toMatchObject({ code: 0 })
    expect(filesBelow(archive.root)).toEqual([
      `main/${systemIdentifier}/cluster.json`,
      `main/${systemIdentifier}/wal/0000000100000000/${segment}.00000028.backup.zst`,
      `main/${systemIdentifier}/wal/history/00000002.history.zst`,
    ])
  })

  test('two different partial segments of one name are both kept, with a warning', async () => {
    const page = { systemIdentifier, timeline: 1, address: nextSegment++ * (1n << 24n) }
    const name = `${walSegmentName(page)}.partial`
    const first = await push(place(name, walSegment(page)))
    expect(first).toMatchObject({ code: 0, stderr: expect.not.stringContaining('WARN') })
    const second = await push(place(name, walSegment(page)))
    expect(second.code).toBe(0)
    expect(second.stderr).toMatch(/WARN.*another .*\.partial with different content/)
    expect(filesBelow(archive.root).filter((file) => file.includes('.partial.'))).toHaveLength(2)
  })
})

describe('bad input', () => {
  const cases: [string, number, RegExp, () => string[]][] = [
    [
      'a path that is no WAL file',
      2,
      /postgresql\.conf: its name is not that of a WAL segment/,
      () => ['postgresql.conf'],
    ],
    ['%f instead of %p', 2, /does not lie in the pg_wal directory/, () => ['000000010000000000000001']],
    ['a file that is not there', 12, /0000000100000000000000EE.*ENOENT/, () => ['pg_wal/0000000100000000000000EE']],
    [
      'a directory',
      3,
      /it is a directory/,
      () => {
        mkdirSync(join(dataDirectory, 'pg_wal/0000000100000000000000ED'), { recursive: true })
        return ['pg_wal/0000000100000000000000ED']
      },
    ],
    [
      'a truncated segment',
      3,
      /it has 16777215 bytes, and its header says 16777216/,
      () => [placeSegment({}, (page) => walSegment(page).subarray(0, (1 << 24) - 1))],
    ],
    ['an empty segment', 3, /does not begin with a WAL page header/, () => [placeSegment({}, () => Buffer.alloc(0))]],
    [
      'a zero-filled segment',
      3,
      /does not begin with a WAL page header/,
      () => [placeSegment({}, () => Buffer.alloc(1 << 24))],
    ],
    [
      'a segment of another cluster',
      3,
      /belongs to system identifier 42, and this cluster is \d+/,
      () => [placeSegment({ systemIdentifier: 42n })],
    ],
    [
      'a segment under the name of another',
      3,
      /its first page is at 0\/A000000, and its name says/,
      () => [placeSegment({}, (page) => walSegment({ ...page, address: 0xa000000n }))],
    ],
    [
      'a segment of a later timeline than its name says',
      3,
      /its first page is of timeline 3, and its name says 1/,
      () => [placeSegment({}, (page) => walSegment({ ...page, timeline: 3 }))],
    ],
    ['a damaged history file', 3, /it is no timeline history file/, () => [place('00000009.history', 'what?\n')]],
    ['an empty history file', 3, /0 bytes are no possible size/, () => [place('00000008.history', '')]],
    [
      'a damaged backup history file',
      3,
      /no backup history file of that segment/,
      () => [place('000000010000000000000007.00000028.backup', 'x\n')],
    ],
    ['no path', 2, /PATH/, () => []],
    ['two paths', 2, /one|PATH|argument/i, () => ['pg_wal/000000010000000000000001', 'x']],
    ['an unknown option', 2, /--dry-rum/, () => ['--dry-rum', placeSegment()]],
    ['a bad duration', 2, /timeout.*"soon"/, () => ['--timeout', 'soon', placeSegment()]],
    ['a level that does not exist', 2, /compression-level.*"99"/, () => ['--compression-level', '99', placeSegment()]],
    [
      '--create-archive in the environment',
      2,
      /--create-archive is only accepted as a flag/,
      () => ['ENV', placeSegment()],
    ],
    ['a bad cluster name', 2, /cluster name "\.\.\/x"/, () => ['--cluster', '../x', placeSegment()]],
    ['a relative archive URL', 2, /file:/, () => ['--archive', 'backup/wal', placeSegment()]],
    ['an archive URL of an unknown kind', 2, /ftp:/, () => ['--archive', 'ftp://x/y', placeSegment()]],
    [
      'a system identifier that is not that of the data directory',
      2,
      /--system-id 43.*has system identifier/,
      () => ['--system-id', '43', placeSegment()],
    ],
    [
      'a state directory inside the data directory',
      2,
      /inside the data directory/,
      () => ['--state-dir', join(dataDirectory, 'state'), placeSegment()],
    ],
  ]
  test.each(cases)('%s: exit code %i', async (_, code, message, args) => {
    const given = args()
    const before = [snapshot(archive.root), snapshot(dataDirectory)]
    const env = { SEAWALL_CREATE_ARCHIVE: 'true' }
    const result =
      given[0] === 'ENV'
        ? await archive.call('wal-push', given.slice(1), { cwd: dataDirectory, env })
        : await push(...given)
    expect(result.stderr).toMatch(message)
    expect(result.stderr).toMatch(/HINT {2}\S/)
    expect(result.code).toBe(code)
    expect([snapshot(archive.root), snapshot(dataDirectory)]).toEqual(before)
  })

  test('no archive at all', async () => {
    writeFileSync(archive.config, `state-dir: ${archive.stateDirectory}\n`)
    const result = await push(placeSegment())
    expect(result.code).toBe(2)
    expect(result.stderr).toMatch(/archive/)
    expect(result.stderr).toMatch(/HINT {2}.*--archive/)
  })

  test('an unknown key in the YAML file is named with its file', async () => {
    writeFileSync(archive.config, `archive: ${archive.url}\nclsuter: main\n`)
    const result = await push(placeSegment())
    expect(result.code).toBe(2)
    expect(result.stderr).toContain('clsuter')
    expect(result.stderr).toContain(archive.config)
  })

  test('an archive of a newer format version is not written to', async () => {
    await push(placeSegment())
    const record = join(archive.root, `main/${systemIdentifier}/cluster.json`)
    chmodSync(record, 0o644)
    writeFileSync(record, readFileSync(record, 'utf8').replace('"formatVersion":1', '"formatVersion":2'))
    const before = snapshot(archive.root)
    const result = await push(placeSegment())
    expect(result.code).toBe(7)
    expect(result.stderr).toMatch(/format version 2/)
    expect(snapshot(archive.root)).toEqual(before)
  })

  test('a segment of another size than the archive knows is refused', async () => {
    await push(placeSegment())
    const before = snapshot(archive.root)
    const result = await push(placeSegment({ segmentSize: 1 << 20, address: 0x7000_0000n }))
    expect(result.code).toBe(3)
    expect(result.stderr).toMatch(/segments have 16777216 bytes, and this cluster's have 1048576/)
    expect(snapshot(archive.root)).toEqual(before)
  })
})

describe('an archive that is not there', () => {
  test('is never created: its root does not exist', async () => {
    rmSync(archive.root, { recursive: true })
    const result = await push(placeSegment())
    expect(result.code).toBe(4)
    expect(result.stderr).toMatch(/HINT {2}.*mount/i)
    expect(() => statSync(archive.root)).toThrow(/ENOENT/)
  })

  test('is not taken for a new one when its mount point is empty, until --create-archive says so', async () => {
    await push(placeSegment())
    renameSync(archive.root, `${archive.root}.unmounted`)
    mkdirSync(archive.root)
    const user = serversUser()
    chownSync(archive.root, user.uid, user.gid)
    const path = placeSegment()
    const result = await push(path)
    expect(result.code).toBe(4)
    expect(result.stderr).toMatch(/although this machine has archived there before/)
    expect(result.stderr).toMatch(/HINT {2}.*--create-archive/)
    expect(filesBelow(archive.root)).toEqual([])
    expect(await push('--create-archive', path)).toMatchObject({ code: 0 })
    expect(await push(placeSegment())).toMatchObject({ code: 0 })
  })

  test('cannot be begun where nothing can be remembered', async () => {
    rmSync(archive.stateDirectory, { recursive: true })
    writeFileSync(archive.stateDirectory, '')
    const result = await push(placeSegment())
    expect(result.code).toBe(12)
    expect(result.stderr).toMatch(/HINT {2}.*--state-dir/)
    expect(filesBelow(archive.root)).toEqual([])
  })

  test('is used on, with a warning, where it is whole and only cannot be remembered', async () => {
    await push(placeSegment())
    rmSync(archive.stateDirectory, { recursive: true })
    writeFileSync(archive.stateDirectory, '')
    const result = await push(placeSegment())
    expect(result.code).toBe(0)
    expect(result.stderr).toMatch(/WARN.*may be taken for a new one/)
  })
})

describe('an archive that cannot be written', () => {
  test('for lack of permission', async () => {
    await push(placeSegment())
    const walDirectory = join(archive.root, `main/${systemIdentifier}/wal/0000000100000000`)
    chmodSync(walDirectory, 0o500)
    const before = snapshot(archive.root)
    const result = await push(placeSegment())
    expect(result.code).toBe(5)
    expect(result.stderr).toMatch(/HINT {2}/)
    expect(snapshot(archive.root)).toEqual(before)
    chmodSync(walDirectory, 0o750)
  })

  test.skipIf(!canMount)('is named with the object and the reason when the disk is full', async () => {
    const mount = mountSmall('3m')
    const path = placeSegment({}, (page) => walSegment(page, 8 << 20))
    const result = await push('--archive', `file://${mount}`, '--compression', 'none', path)
    expect(result.code).toBe(5)
    expect(result.stderr).toMatch(/could not .*000000010000.*no space/i)
    expect(filesBelow(mount).filter((file) => file.includes('/wal/'))).toEqual([])
  })

  test.skipIf(!canMount)('when its file system is read-only', async () => {
    const mount = mountSmall('30m')
    expect(await push('--archive', `file://${mount}`, placeSegment())).toMatchObject({ code: 0 })
    remountReadOnly(mount)
    const before = snapshot(mount)
    const result = await push('--archive', `file://${mount}`, placeSegment())
    expect(result.code).toBe(5)
    expect(result.stderr).toMatch(/read-only/i)
    expect(snapshot(mount)).toEqual(before)
  })
})

test('a cluster made anew under the same name gets its own place, and says so', async () => {
  await push(placeSegment())
  const other = await createCluster({ version: 18, start: false })
  const { systemIdentifier: identifier } = await readControlFile(other.dataDirectory)
  const page = { systemIdentifier: BigInt(identifier), timeline: 1, address: 1n << 24n }
  const path = join(other.dataDirectory, 'pg_wal', walSegmentName(page))
  writeFileSync(path, walSegment(page))
  const result = await archive.call('wal-push', [path])
  expect(result.code).toBe(0)
  expect(result.stderr).toContain(`archived under system identifier ${systemIdentifier} before`)
  expect(filesBelow(archive.root).filter((file) => file.endsWith('cluster.json'))).toHaveLength(2)
})

test('a file outside any data directory is archived by its system identifier', async () => {
  const directory = temporaryDirectory()
  const page = { systemIdentifier, timeline: 1, address: nextSegment++ * (1n << 24n) }
  const path = join(directory, walSegmentName(page))
  writeFileSync(path, walSegment(page))
  const refused = await archive.call('wal-push', [path])
  expect(refused.code).toBe(2)
  expect(refused.stderr).toMatch(/HINT {2}.*--pgdata.*--system-id/)
  expect(await archive.call('wal-push', [path, '--system-id', String(systemIdentifier)])).toMatchObject({ code: 0 })
})

test('pg_wal on another disk, behind a symbolic link, is understood', async () => {
  const cluster = await createCluster({ version: 18, start: false })
  const elsewhere = join(temporaryDirectory(), 'wal')
  renameSync(join(cluster.dataDirectory, 'pg_wal'), elsewhere)
  symlinkSync(elsewhere, join(cluster.dataDirectory, 'pg_wal'))
  copyFileSync(join(elsewhere, '000000010000000000000001'), join(elsewhere, 'copy'))
  const result = await archive.call('wal-push', ['pg_wal/000000010000000000000001'], { cwd: cluster.dataDirectory })
  expect(result).toMatchObject({ code: 0 })
})
