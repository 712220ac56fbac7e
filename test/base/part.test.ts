import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { bytePathOf } from '../../src/base/byte-path.ts'
import { type FileEntry, type FilesEntry, formatFilesLine, parseFilesLine } from '../../src/base/files-list.ts'
import { openObjectWriter } from '../../src/base/object-writer.ts'
import { PartMaker } from '../../src/base/part.ts'
import { planParts } from '../../src/base/plan.ts'
import { type ScanEntry, scanDataDirectory } from '../../src/base/scan.ts'
import { openCodec } from '../../src/codec/open.ts'
import type { BackupPart } from '../../src/core/backup-record.ts'
import { memoryStorage } from '../../src/storage/memory.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { temporaryDirectory } from '../support/temporary.ts'

const codec = await openCodec()

async function scanAll(directory: string): Promise<ScanEntry[]> {
  const entries: ScanEntry[] = []
  for await (const entry of scanDataDirectory(bytePathOf(directory), [], () => {})) entries.push(entry)
  return entries
}

async function makePart(
  storage: Storage,
  entries: readonly ScanEntry[],
  level: number | 'none' = 1,
): Promise<{ part: BackupPart; recorded: FilesEntry[]; stored: Buffer }> {
  const recorded: FilesEntry[] = []
  const maker = new PartMaker({
    number: 1,
    tablespace: null,
    codec,
    level,
    writer: openObjectWriter(storage, 'part-00001.tar.zst', () => {}, {}),
    record: async (entry) => {
      recorded.push(entry)
    },
    signal: new AbortController().signal,
    onRead: () => {},
  })
  for (const entry of entries) await maker.add(entry)
  const part = await maker.finish()
  const object = await storage.get('part-00001.tar.zst')
  const chunks: Uint8Array[] = []
  for await (const chunk of object!.body) chunks.push(chunk)
  return { part, recorded, stored: Buffer.concat(chunks) }
}

function sampleDirectory(): { directory: string; contents: Map<string, Buffer> } {
  const directory = temporaryDirectory()
  const contents = new Map<string, Buffer>()
  const add = (path: string, size: number) => {
    const content = Buffer.alloc(size, `${path} `)
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), content)
    contents.set(path, content)
  }
  for (let index = 0; index < 200; index++) add(`base/1/${index}`, 8192)
  for (const size of [0, 1, 511, 512, 513, 65_535, 65_536, 65_537, 3_000_000]) add(`base/5/${size}`, size)
  add(`base/5/${'long'.repeat(40)}`, 100)
  return { directory, contents }
}

test.each([1, 'none'] as const)(
  'a part of level %s is what zstd and tar read, and each file can be read alone',
  async (level) => {
    const { directory, contents } = sampleDirectory()
    const { part, recorded, stored } = await makePart(memoryStorage(), await scanAll(directory), level)
    expect(part).toMatchObject({ name: 'part-00001.tar.zst', size: stored.length, number: 1 })
    expect(part.sha256).toBe(createHash('sha256').update(stored).digest('hex'))

    const tar = spawnSync('zstd', ['-dc'], { input: stored, maxBuffer: 1 << 26 })
    expect(tar.status, tar.stderr.toString()).toBe(0)
    expect(tar.stdout.length).toBe(part.tarSize)
    const out = temporaryDirectory()
    expect(spawnSync('tar', ['-x', '-C', out], { input: tar.stdout, encoding: 'utf8' })).toMatchObject({
      status: 0,
      stderr: '',
    })
    expect(spawnSync('diff', ['-r', directory, out], { encoding: 'utf8' })).toMatchObject({ status: 0, stdout: '' })

    const files = recorded.filter((entry): entry is FileEntry => entry.kind === 'file')
    expect(files.map(({ path }) => path).sort()).toEqual([...contents.keys()].sort())
    for (const { path, frameOffset, frameLength, offsetInFrame, size, sha256 } of files) {
      const frame = spawnSync('zstd', ['-dc'], {
        input: stored.subarray(frameOffset, frameOffset + frameLength),
        maxBuffer: 1 << 26,
      })
      const content = frame.stdout.subarray(offsetInFrame, offsetInFrame + size)
      expect(content.equals(contents.get(path)!), path).toBe(true)
      expect(sha256, path).toBe(createHash('sha256').update(content).digest('hex'))
    }
    const frames = new Map<number, number>()
    for (const { frameOffset } of files) frames.set(frameOffset, (frames.get(frameOffset) ?? 0) + 1)
    for (const { size, frameOffset } of files) if (size >= 65_536) expect(frames.get(frameOffset)).toBe(1)
    expect(Math.max(...frames.values())).toBeGreaterThan(50)
  },
)

test('the same files give the same bytes', async () => {
  const { directory } = sampleDirectory()
  const [one, other] = [
    await makePart(memoryStorage(), await scanAll(directory)),
    await makePart(memoryStorage(), await scanAll(directory)),
  ]
  expect(one.stored.equals(other.stored)).toBe(true)
})

test('a file that has vanished since the scan is left out', async () => {
  const { directory } = sampleDirectory()
  const entries = await scanAll(directory)
  const gone = entries.map((entry) =>
    entry.path === 'base/1/7' ? { ...entry, source: `${entry.source}-gone` } : entry,
  )
  const { recorded } = await makePart(memoryStorage(), gone)
  expect(recorded.length).toBe(entries.length - 1)
  expect(recorded.some(({ path }) => path === 'base/1/7')).toBe(false)
})

test('parts are as large as they may be, a larger file has its own', async () => {
  async function* entries(): AsyncGenerator<ScanEntry> {
    for (const [index, size] of [100, 1000, 5000, 100, 3000, 0, 100, 100].entries()) {
      yield { kind: 'file', path: `${index}`, tablespace: null, source: '', size, mode: 0, mtime: 0, uid: 0, gid: 0 }
    }
  }
  const parts: string[][] = []
  for await (const part of planParts(entries(), { size: 4096, members: 3 })) parts.push(part.map(({ path }) => path))
  expect(parts).toEqual([['0', '1'], ['2'], ['3'], ['4', '5'], ['6', '7']])
  const flat: string[] = []
  for await (const part of planParts(entries(), { size: 1e9, members: 3 })) flat.push(String(part.length))
  expect(flat).toEqual(['3', '3', '2'])
})

test('a line of files.jsonl is read as it was written, and anything else is refused', () => {
  const file: FileEntry = {
    kind: 'file',
    path: Buffer.from('base/1/ü"\\').toString('latin1'),
    mode: 0o600,
    part: 1,
    size: 5,
    mtime: 1,
    sha256: 'a'.repeat(64),
    frameOffset: 0,
    frameLength: 9,
    offsetInFrame: 512,
  }
  const entries: FilesEntry[] = [
    file,
    { ...file, path: Buffer.from([0x6c, 0xff]).toString('latin1') },
    { kind: 'directory', path: 'base', mode: 0o700, part: 1 },
  ]
  for (const entry of entries) expect(parseFilesLine(formatFilesLine(entry).trimEnd(), 'files')).toEqual(entry)
  expect(formatFilesLine(entries[1]!)).toContain('"encodedPath":"6cff"')
  const line = JSON.parse(formatFilesLine(file)) as Record<string, unknown>
  const bad = [
    { path: '../x' },
    { path: 7 },
    { size: -1 },
    { size: 1.5 },
    { mode: '999' },
    { sha256: 'x' },
    { part: null },
    { type: 'link' },
  ]
  for (const change of bad) {
    expect(() => parseFilesLine(JSON.stringify({ ...line, ...change }), 'files'), JSON.stringify(change)).toThrow(
      /describes no file/,
    )
  }
  for (const text of ['', 'null', '[]', '{']) expect(() => parseFilesLine(text, 'files')).toThrow(/describes no file/)
})

test('a key that is taken ends the writing, and what was there stays', async () => {
  const storage = memoryStorage()
  await storage.putIfAbsent('taken', [Buffer.from('first')])
  const created: string[] = []
  const writer = openObjectWriter(storage, 'taken', (key) => created.push(key), {})
  const write = async () => {
    for (let index = 0; index < 10; index++) await writer.write(new Uint8Array(1000))
    await writer.finish()
  }
  await expect(write()).rejects.toMatchObject({ code: 'conflict' })
  expect(created).toEqual([])
  expect((await storage.head('taken'))?.size).toBe(5)
})

test('an object that is abandoned leaves nothing, however far it came', async () => {
  for (const writes of [0, 1, 3]) {
    const storage = memoryStorage()
    const writer = openObjectWriter(storage, 'object', () => {}, {})
    for (let index = 0; index < writes; index++) await writer.write(new Uint8Array(1000))
    await writer.abandon(new Error('enough'))
    expect(await storage.head('object')).toBeUndefined()
    await expect(writer.write(new Uint8Array(1))).rejects.toThrow('enough')
  }
})
