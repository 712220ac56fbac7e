import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { encodeWalHeader } from '../../src/archive/wal-object.ts'
import { openCodec } from '../../src/codec/open.ts'
import { ClusterLayout } from '../../src/core/archive-layout.ts'
import { parseWalFileName, segmentName } from '../../src/core/wal-names.ts'
import { memoryStorage } from '../../src/storage/memory.ts'
import { fetchWalFile } from '../../src/wal/fetch.ts'
import { temporaryDirectory } from '../support/temporary.ts'
import { putClusterRecord, putHistory, putSegment, putWal, quietLog, testSegmentSize } from '../support/wal-archive.ts'
import { walSegment } from '../support/wal-file.ts'

const codec = await openCodec()
const layout = new ClusterLayout('main', '7312345678901234567')
const segment = (timeline: number, number: number) => segmentName(timeline, BigInt(number), testSegmentSize)

let storage = memoryStorage()
let warnings: string[] = []
let directory: string

beforeEach(async () => {
  storage = memoryStorage()
  await putClusterRecord(storage, layout)
  warnings = []
  directory = temporaryDirectory()
})

function fetch(name: string, from = storage) {
  const log = { ...quietLog, warn: (message: string) => void warnings.push(message) }
  const destination = join(directory, 'RECOVERYXLOG')
  return fetchWalFile({ storage: from, codec, layout, file: parseWalFileName(name)!, destination, log }, {})
}

describe('fetching', () => {
  test('a segment brings it to its place and leaves nothing else', async () => {
    await putSegment(storage, layout, segment(1, 3))
    expect(await fetch(segment(1, 3))).toBe('done')
    expect(readFileSync(join(directory, 'RECOVERYXLOG'))).toHaveLength(testSegmentSize)
    expect(readdirSync(directory)).toEqual(['RECOVERYXLOG'])
  })

  test('what is not there is absent, but only in an archive that carries the cluster', async () => {
    expect(await fetch(segment(1, 3))).toBe('absent')
    expect(await fetch('00000002.history')).toBe('absent')
    expect(warnings).toEqual([])
    await expect(fetch(segment(1, 3), memoryStorage())).rejects.toMatchObject({ code: 'archive-missing' })
  })

  test('a history that must have existed is absent with a warning that says what it means', async () => {
    await putSegment(storage, layout, segment(2, 7))
    expect(await fetch('00000002.history')).toBe('absent')
    expect(warnings[0]).toMatch(/00000002.history is not in the archive, although .* is archived/)
    await putHistory(storage, layout, 4, '1\t0/100000\tx\n3\t0/200000\tx\n')
    expect(await fetch('00000003.history')).toBe('absent')
    expect(warnings[1]).toMatch(/although 00000004.history names it/)
    expect(await fetch('00000001.history')).toBe('absent')
    expect(warnings).toHaveLength(2)
  })

  test('an object that says an impossible size is refused before a byte is written', async () => {
    const name = segment(1, 3)
    const bytes = codec.compress(Buffer.alloc(1 << 20), 1)
    const header = {
      name,
      size: 2 ** 50,
      storedSize: bytes.length,
      sha256: '0'.repeat(64),
      systemIdentifier: layout.systemIdentifier,
      postgresMajor: 18,
    }
    await storage.putIfAbsent(layout.segment(name), [encodeWalHeader(header), bytes])
    await expect(fetch(name)).rejects.toMatchObject({
      code: 'corrupt',
      reason: expect.stringContaining('which no such file has'),
    })
    expect(readdirSync(directory)).toEqual([])
  })

  test('a segment of another place under the right name is refused', async () => {
    const page = {
      systemIdentifier: 7312345678901234567n,
      timeline: 1,
      address: 9n << 20n,
      segmentSize: testSegmentSize,
    }
    await putWal(storage, layout, segment(1, 3), walSegment(page))
    await expect(fetch(segment(1, 3))).rejects.toMatchObject({ code: 'corrupt' })
    expect(existsSync(join(directory, 'RECOVERYXLOG'))).toBe(false)
  })

  test("one of two partial segments is nobody's to choose but the caller's", async () => {
    const name = `${segment(1, 3)}.partial`
    const page = {
      systemIdentifier: 7312345678901234567n,
      timeline: 1,
      address: 3n << 20n,
      segmentSize: testSegmentSize,
    }
    expect(await fetch(name)).toBe('absent')
    await putWal(storage, layout, name, walSegment(page))
    expect(await fetch(name)).toBe('done')
    await putWal(storage, layout, name, walSegment(page))
    await expect(fetch(name)).rejects.toMatchObject({ code: 'refused' })
  })
})
