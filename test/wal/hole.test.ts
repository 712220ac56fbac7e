import { beforeEach, describe, expect, test } from 'vitest'
import { openCodec } from '../../src/codec/open.ts'
import { ClusterLayout } from '../../src/core/archive-layout.ts'
import { segmentName } from '../../src/core/wal-names.ts'
import { memoryStorage } from '../../src/storage/memory.ts'
import { findHole } from '../../src/wal/hole.ts'
import { putHistory, putSegment, testSegmentSize } from '../support/wal-archive.ts'

const codec = await openCodec()
const layout = new ClusterLayout('main', '7312345678901234567')
let storage = memoryStorage()

beforeEach(() => {
  storage = memoryStorage()
})

const segment = (timeline: number, number: number) => segmentName(timeline, BigInt(number), testSegmentSize)
const put = async (timeline: number, ...numbers: number[]) => {
  for (const number of numbers) await putSegment(storage, layout, segment(timeline, number))
}
/** A timeline that forks from the middle of a segment. */
const fork = (timeline: number, parent: number, number: number) =>
  putHistory(storage, layout, timeline, `${parent}\t0/${((number << 20) + 0x100).toString(16).toUpperCase()}\treason\n`)
const holeAt = (timeline: number, number: number) =>
  findHole(storage, codec, layout, segment(timeline, number), testSegmentSize)

describe('a segment that is not archived', () => {
  test('after the last one is the end', async () => {
    await put(1, 3, 4)
    expect(await holeAt(1, 5)).toBeUndefined()
  })

  test('in an empty archive is the end', async () => {
    expect(await holeAt(1, 1)).toBeUndefined()
  })

  test('before another of its timeline is a hole, also across directories', async () => {
    await put(1, 3, 5)
    expect(await holeAt(1, 4)).toBe(`${segment(1, 5)} is archived`)
    await put(1, 0x2001)
    expect(await holeAt(1, 0xfff)).toBe(`${segment(1, 0x2001)} is archived`)
  })

  test('is no hole because another timeline has later ones', async () => {
    await put(1, 3)
    await put(2, 5, 6)
    expect(await holeAt(1, 4)).toBeUndefined()
  })

  test('is a hole if a timeline forked from it later, whatever is archived of that', async () => {
    await put(1, 3)
    await fork(2, 1, 6)
    expect(await holeAt(1, 5)).toMatch(/timeline 2 forked from it at 0\/600100/)
  })

  test('in which a timeline forked may never have been filled: the end', async () => {
    await put(1, 3)
    await fork(2, 1, 4)
    expect(await holeAt(1, 4)).toBeUndefined()
  })

  test('before its timeline began is looked for on the parent: no hole', async () => {
    await put(1, 3)
    await fork(2, 1, 6)
    await put(2, 6, 7)
    expect(await holeAt(2, 5)).toBeUndefined()
    expect(await holeAt(2, 8)).toBeUndefined()
  })

  test('in which its timeline began is a hole once later ones are archived', async () => {
    await fork(2, 1, 6)
    await put(2, 7)
    expect(await holeAt(2, 6)).toBe(`${segment(2, 7)} is archived`)
  })

  test('in an archive whose WAL is gone is a hole where a complete backup began in it, or later', async () => {
    const id = `20261122T031500Z_${segment(1, 7)}`
    await storage.putIfAbsent(layout.part(id, 1), [Buffer.from('x')])
    expect(await holeAt(1, 7)).toBeUndefined()
    await storage.putIfAbsent(layout.backupRecord(id), [Buffer.from('x')])
    expect(await holeAt(1, 7)).toMatch(new RegExp(`base backup ${id} needs WAL`))
    expect(await holeAt(1, 6)).toMatch(/base backup/)
    expect(await holeAt(1, 8)).toBeUndefined()
    expect(await holeAt(2, 7)).toBeUndefined()
  })

  test('before its timeline began is no hole either where only a later timeline tells of it', async () => {
    await fork(2, 1, 6)
    await fork(3, 2, 9)
    expect(await holeAt(2, 5)).toBeUndefined()
    expect(await holeAt(2, 7)).toMatch(/timeline 3 forked/)
  })

  test('followed only by a partial segment or a backup history file is the end', async () => {
    await put(1, 3)
    await storage.putIfAbsent(`${layout.walDirectory(segment(1, 5))}${segment(1, 5)}.partial.0123456789abcdef.zst`, [
      Buffer.from('x'),
    ])
    expect(await holeAt(1, 4)).toBeUndefined()
  })
})
