import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { encodeWalHeader, openWal, parseWalHeader, readWalHeader } from '../../src/archive/wal-object.ts'
import { openCodec } from '../../src/codec/open.ts'
import { ClusterLayout } from '../../src/core/archive-layout.ts'
import { memoryStorage } from '../../src/storage/memory.ts'
import { walObject } from '../support/wal-archive.ts'
import { walSegment } from '../support/wal-file.ts'

const codec = await openCodec()
const layout = new ClusterLayout('main', '7312345678901234567')
const name = '000000010000000000000003'
const key = layout.segment(name)
const plain = walSegment(
  { systemIdentifier: 7312345678901234567n, timeline: 1, address: 3n << 20n, segmentSize: 1 << 20 },
  50_000,
)
const whole = await walObject(layout, name, plain)
let storage = memoryStorage()

beforeEach(() => {
  storage = memoryStorage()
})

async function read(bytes: Uint8Array): Promise<Buffer> {
  await storage.putIfAbsent(key, [bytes])
  const object = await openWal(storage, codec, key, { name, systemIdentifier: layout.systemIdentifier })
  const chunks: Uint8Array[] = []
  for await (const chunk of object!.content) chunks.push(chunk)
  return Buffer.concat(chunks)
}

describe('a WAL object', () => {
  test('gives back what was put in', async () => {
    expect((await read(whole)).equals(plain)).toBe(true)
    expect(await readWalHeader(storage, key)).toMatchObject({ name, size: 1 << 20, postgresMajor: 18 })
  })

  test('that is not there is undefined', async () => {
    expect(await readWalHeader(storage, key)).toBeUndefined()
    expect(await openWal(storage, codec, key, { name, systemIdentifier: '1' })).toBeUndefined()
  })

  test('that lies under the name of another, or of another cluster, is refused', async () => {
    await storage.putIfAbsent(key, [whole])
    for (const expected of [
      { name: '000000010000000000000004', systemIdentifier: layout.systemIdentifier },
      { name, systemIdentifier: '42' },
    ]) {
      await expect(openWal(storage, codec, key, expected)).rejects.toMatchObject({ code: 'corrupt' })
    }
  })

  test('cut anywhere is refused, by its header alone wherever that is left', async () => {
    for (const length of [0, 1, 7, 8, 100, 300, whole.length - 4, whole.length - 1]) {
      storage = memoryStorage()
      await expect(read(whole.subarray(0, length))).rejects.toMatchObject({ code: 'corrupt' })
      await expect(readWalHeader(storage, key)).rejects.toMatchObject({ code: 'corrupt' })
    }
  })

  test('followed by anything is refused', async () => {
    await expect(read(Buffer.concat([whole, Buffer.from([0])]))).rejects.toMatchObject({ code: 'corrupt' })
  })

  test('with any one bit changed never gives other bytes for good', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length * 8 - 1), async (bit) => {
        storage = memoryStorage()
        const changed = Buffer.from(whole)
        changed[bit >> 3] = changed[bit >> 3]! ^ (1 << (bit & 7))
        const outcome = await read(changed).then(
          (bytes) => bytes.equals(plain),
          (error) => ['corrupt', 'newer-format', 'refused'].includes(error.code),
        )
        expect(outcome).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  test('of a newer format says so', async () => {
    const text = whole.toString('latin1').replace('"formatVersion":1', '"formatVersion":9')
    await expect(read(Buffer.from(text, 'latin1'))).rejects.toMatchObject({ code: 'newer-format' })
  })

  test('that holds more than its header says is stopped there', async () => {
    const header = { ...parseWalHeader(whole, key).header, size: 1000 }
    const { headerSize } = parseWalHeader(whole, key)
    const bomb = Buffer.concat([encodeWalHeader(header), whole.subarray(headerSize)])
    await expect(read(bomb)).rejects.toMatchObject({ code: 'corrupt' })
  })
})
