/** `kill -9` of wal-push and wal-fetch at random moments, and races over the wreckage. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { readControlFile } from '../../src/postgres/pg-control.ts'
import { createArchive, type TestArchive } from '../support/archive.ts'
import { createCluster } from '../support/cluster.ts'
import { binDirectory } from '../support/installation.ts'
import { finish, killGroup, start } from '../support/processes.ts'
import { seededRandom } from '../support/random.ts'
import { temporaryDirectory } from '../support/temporary.ts'
import { filesBelow } from '../support/tree.ts'
import { walSegment, walSegmentName } from '../support/wal-file.ts'

const rounds = 25

let dataDirectory: string
let systemIdentifier: bigint
let archive: TestArchive

beforeAll(async () => {
  const cluster = await createCluster({ version: 18, start: false })
  dataDirectory = cluster.dataDirectory
  systemIdentifier = BigInt((await readControlFile(dataDirectory)).systemIdentifier)
  archive = createArchive()
})

/** A segment that takes a while to compress and to write. */
function placeSegment(number: bigint): { path: string; name: string; bytes: Buffer } {
  const page = { systemIdentifier, timeline: 1, address: number << 24n }
  const name = walSegmentName(page)
  const bytes = walSegment(page, 8 << 20)
  writeFileSync(join(dataDirectory, 'pg_wal', name), bytes)
  return { path: `pg_wal/${name}`, name, bytes }
}

/** Kills the launcher and the Node below it some milliseconds after the start; says whether it was still running. */
async function killAfter(milliseconds: number, argv: readonly string[]): Promise<boolean> {
  const child = start(argv, { cwd: dataDirectory })
  const ended = finish(child, argv.join(' '))
  const timer = setTimeout(() => killGroup(child.pid!), milliseconds)
  const { signal } = await ended
  clearTimeout(timer)
  return signal === 'SIGKILL'
}

/** Every object under a final name decompresses to its end with the stock tool. */
function checkArchive(): void {
  for (const file of filesBelow(archive.root)) {
    if (!file.endsWith('.zst')) continue
    const result = spawnSync('zstd', ['-tq', join(archive.root, file)], { encoding: 'utf8' })
    expect(result, file).toMatchObject({ status: 0 })
  }
}

async function timeOf(executable: string, args: readonly string[]): Promise<number> {
  const begun = performance.now()
  expect(await archive.call(executable, args, { cwd: dataDirectory })).toMatchObject({ code: 0 })
  return performance.now() - begun
}

test('wal-push killed at any moment leaves only whole objects, and can be repeated', async () => {
  const random = seededRandom('wal-push killed')
  const duration = await timeOf('wal-push', [placeSegment(1n).path])
  let killed = 0
  for (let round = 0; round < rounds; round++) {
    const { path, name, bytes } = placeSegment(BigInt(2 + round))
    const argv = [join(binDirectory(), 'wal-push'), '--config', archive.config, path]
    if (await killAfter(random.next() * duration * 1.1, argv)) killed += 1
    checkArchive()
    expect(await archive.call('wal-push', [path], { cwd: dataDirectory })).toMatchObject({ code: 0 })
    const key = filesBelow(archive.root).find((file) => file.endsWith(`${name}.zst`))!
    const plain = spawnSync('zstd', ['-dcq', join(archive.root, key)], { maxBuffer: 1 << 26 }).stdout
    expect(plain.equals(bytes), `content of ${name} in round ${round}`).toBe(true)
  }
  expect(killed).toBeGreaterThan(rounds / 4)
})

test('wal-fetch killed at any moment leaves a whole file or none, and can be repeated', async () => {
  const random = seededRandom('wal-fetch killed')
  const { path, name, bytes } = placeSegment(100n)
  expect(await archive.call('wal-push', [path], { cwd: dataDirectory })).toMatchObject({ code: 0 })
  const directory = temporaryDirectory()
  const destination = join(directory, 'RECOVERYXLOG')
  const args = [name, destination, '--pgdata', dataDirectory]
  const duration = await timeOf('wal-fetch', args)
  let killed = 0
  for (let round = 0; round < rounds; round++) {
    const target = join(directory, `RECOVERYXLOG${round}`)
    const argv = [
      join(binDirectory(), 'wal-fetch'),
      '--config',
      archive.config,
      name,
      target,
      '--pgdata',
      dataDirectory,
    ]
    if (await killAfter(random.next() * duration * 1.1, argv)) killed += 1
    if (existsSync(target)) expect(readFileSync(target).equals(bytes)).toBe(true)
    expect(await archive.call('wal-fetch', [name, target, '--pgdata', dataDirectory])).toMatchObject({ code: 0 })
    expect(readFileSync(target).equals(bytes)).toBe(true)
    expect(filesBelow(directory).filter((file) => file.startsWith(`RECOVERYXLOG${round}.`))).toEqual([])
  }
  expect(killed).toBeGreaterThan(rounds / 4)
})

test('of eight that race over the wreckage of a killed one, all succeed with the same content', async () => {
  const random = seededRandom('race')
  const { path, name, bytes } = placeSegment(200n)
  const argv = [join(binDirectory(), 'wal-push'), '--config', archive.config, path]
  await killAfter(100 + random.below(100), argv)
  const results = await Promise.all(
    Array.from({ length: 8 }, () => archive.call('wal-push', [path], { cwd: dataDirectory })),
  )
  expect(results.map(({ code }) => code)).toEqual(Array(8).fill(0))
  const key = filesBelow(archive.root).find((file) => file.endsWith(`${name}.zst`))!
  const plain = spawnSync('zstd', ['-dcq', join(archive.root, key)], { maxBuffer: 1 << 26 }).stdout
  expect(plain.equals(bytes)).toBe(true)
})

test('of eight that race with different contents under one name, exactly one wins and the others are told', async () => {
  const address = 300n << 24n
  const page = { systemIdentifier, timeline: 1, address }
  const directory = temporaryDirectory()
  const candidates = Array.from({ length: 8 }, (_, index) => {
    const path = join(directory, `${index}`, walSegmentName(page))
    const bytes = walSegment(page, 1 << 20)
    return { path, bytes }
  })
  for (const { path, bytes } of candidates) {
    mkdirSync(join(path, '..'))
    writeFileSync(path, bytes)
  }
  const results = await Promise.all(
    candidates.map(({ path }) => archive.call('wal-push', [path, '--system-id', String(systemIdentifier)])),
  )
  const winners = results.flatMap(({ code }, index) => (code === 0 ? [index] : []))
  expect(winners).toHaveLength(1)
  for (const { code, stderr } of results)
    if (code !== 0) expect([code, /different content/.test(stderr)]).toEqual([1, true])
  const key = filesBelow(archive.root).find((file) => file.endsWith(`${walSegmentName(page)}.zst`))!
  const plain = spawnSync('zstd', ['-dcq', join(archive.root, key)], { maxBuffer: 1 << 26 }).stdout
  expect(plain.equals(candidates[winners[0]!]!.bytes)).toBe(true)
})
