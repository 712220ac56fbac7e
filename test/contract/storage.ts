/** What every storage must do (src/storage/storage.ts). Each backend runs this suite, unchanged. */
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Content, ObjectInfo, ReadableStorage, Storage } from '../../src/storage/storage.ts'
import { noise, text } from './samples.ts'

const mebibyte = 1024 * 1024

export async function readWhole(storage: ReadableStorage, key: string): Promise<Buffer | undefined> {
  const object = await storage.get(key)
  if (!object) return undefined
  const chunks: Uint8Array[] = []
  for await (const chunk of object.body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export async function listWhole(listing: AsyncIterable<ObjectInfo>): Promise<ObjectInfo[]> {
  const infos: ObjectInfo[] = []
  for await (const info of listing) infos.push(info)
  return infos
}

async function keysOf(listing: AsyncIterable<ObjectInfo>): Promise<string[]> {
  return (await listWhole(listing)).map(({ key }) => key)
}

async function* streamOf(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

const ascending = (one: string, other: string) => Buffer.compare(Buffer.from(one), Buffer.from(other))

/** @param open gives an empty storage, for each test another one. */
export function storageContract(name: string, open: () => Promise<Storage>): void {
  describe(`storage contract: ${name}`, () => {
    let storage: Storage
    beforeEach(async () => {
      storage = await open()
    })

    const put = (key: string, content: string | Content = key) =>
      storage.putIfAbsent(key, typeof content === 'string' ? [Buffer.from(content)] : content)

    describe('writing', () => {
      const contents: Record<string, { content: () => Content; bytes: Buffer }> = {
        nothing: { content: () => [], bytes: Buffer.alloc(0) },
        'an empty chunk': { content: () => [Buffer.alloc(0)], bytes: Buffer.alloc(0) },
        'one chunk': { content: () => [text(100)], bytes: text(100) },
        'several chunks, one of them empty': {
          content: () => [text(100), Buffer.alloc(0), noise(100)],
          bytes: Buffer.concat([text(100), noise(100)]),
        },
        'an empty stream': { content: () => streamOf(), bytes: Buffer.alloc(0) },
        'a stream': {
          content: () => streamOf(text(100), noise(70_000)),
          bytes: Buffer.concat([text(100), noise(70_000)]),
        },
        '20 MiB': { content: () => [noise(20 * mebibyte)], bytes: noise(20 * mebibyte) },
      }
      for (const [name, { content, bytes }] of Object.entries(contents)) {
        test(`${name} is read back as it was written`, async () => {
          const before = Date.now()
          expect(await put('a/b/object', content())).toBe('created')
          expect((await readWhole(storage, 'a/b/object'))?.equals(bytes)).toBe(true)
          const info = await storage.head('a/b/object')
          expect(info).toMatchObject({ key: 'a/b/object', size: bytes.length })
          expect(Math.abs(info!.modified.getTime() - before)).toBeLessThan(60_000)
          expect(await listWhole(storage.list(''))).toEqual([info])
        })
      }

      test('a stream may reuse its buffer when the next chunk is asked for', async () => {
        const buffer = Buffer.alloc(1000)
        async function* reusing() {
          for (let value = 1; value <= 5; value += 1) yield buffer.fill(value)
        }
        await put('key', reusing())
        const expected = Buffer.concat([1, 2, 3, 4, 5].map((value) => Buffer.alloc(1000, value)))
        expect(await readWhole(storage, 'key')).toEqual(expected)
      })

      test('what exists is never changed', async () => {
        expect(await put('key', 'first')).toBe('created')
        const info = await storage.head('key')
        expect(await put('key', 'second, longer')).toBe('exists')
        expect(await put('key', 'first')).toBe('exists')
        expect(await put('key', streamOf(Buffer.from('third')))).toBe('exists')
        expect(String(await readWhole(storage, 'key'))).toBe('first')
        expect(await storage.head('key')).toEqual(info)
        expect(await keysOf(storage.list(''))).toEqual(['key'])
      })

      test('of many who race for a key exactly one creates it', async () => {
        for (let round = 0; round < 10; round += 1) {
          const contents = Array.from({ length: 16 }, (_, index) => noise(50_000 + index, `writer ${index}`))
          const outcomes = await Promise.all(contents.map((content) => put(`race/${round}`, [content])))
          expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(1)
          const stored = await readWhole(storage, `race/${round}`)
          expect(stored?.equals(contents[outcomes.indexOf('created')]!)).toBe(true)
        }
      })

      test('a failing stream leaves nothing, and its error comes through', async () => {
        async function* failing() {
          yield noise(100_000)
          throw new Error('the source is gone')
        }
        await expect(put('a/key', failing())).rejects.toThrow('the source is gone')
        expect(await storage.head('a/key')).toBeUndefined()
        expect(await keysOf(storage.list(''))).toEqual([])
        expect(await put('a/key', 'now')).toBe('created')
      })

      test('nothing is seen of an object until it is whole', async () => {
        let seen: unknown[] = []
        async function* content() {
          yield noise(2 * mebibyte)
          seen = [await storage.head('a/key'), await storage.get('a/key'), await keysOf(storage.list(''))]
          yield noise(2 * mebibyte)
        }
        await put('a/key', content())
        expect(seen).toEqual([undefined, undefined, []])
        expect((await storage.head('a/key'))?.size).toBe(4 * mebibyte)
      })

      test('bytes that move are reported', async () => {
        let moved = 0
        const onProgress = (bytes: number) => {
          moved += bytes
        }
        await storage.putIfAbsent('key', [noise(3 * mebibyte)], { onProgress })
        expect(moved).toBe(3 * mebibyte)
        moved = 0
        const object = await storage.get('key', { start: 5, end: 2 * mebibyte }, { onProgress })
        for await (const _ of object!.body);
        expect(moved).toBe(2 * mebibyte - 5)
      })
    })

    describe('aborting', () => {
      const reason = new Error('the deadline has passed')

      test('before the call: every call rejects with the reason, and nothing happens', async () => {
        await put('key')
        const options = { signal: AbortSignal.abort(reason) }
        await expect(storage.head('key', options)).rejects.toBe(reason)
        await expect(storage.get('key', undefined, options)).rejects.toBe(reason)
        await expect(keysOf(storage.list('', options))).rejects.toBe(reason)
        await expect(storage.putIfAbsent('other', [text(10)], options)).rejects.toBe(reason)
        await expect(storage.remove(['key'], options)).rejects.toBe(reason)
        expect(await keysOf(storage.list(''))).toEqual(['key'])
      })

      test('in the middle of writing: nothing stays under the key', async () => {
        const controller = new AbortController()
        async function* content() {
          yield noise(100_000)
          controller.abort(reason)
          yield noise(100_000)
        }
        await expect(storage.putIfAbsent('a/key', content(), { signal: controller.signal })).rejects.toBe(reason)
        expect(await storage.head('a/key')).toBeUndefined()
        expect(await storage.removeAbandoned('', new Date(Date.now() + 60_000))).toBe(0)
      })

      test('in the middle of reading and of listing', async () => {
        await put('key', [noise(4 * mebibyte)])
        for (let index = 0; index < 3; index += 1) await put(`keys/${index}/x`)
        const reading = new AbortController()
        const object = await storage.get('key', undefined, { signal: reading.signal })
        await expect(async () => {
          for await (const _ of object!.body) reading.abort(reason)
        }).rejects.toBe(reason)
        const listing = new AbortController()
        await expect(async () => {
          for await (const _ of storage.list('', { signal: listing.signal })) listing.abort(reason)
        }).rejects.toBe(reason)
      })
    })

    describe('reading', () => {
      test('what is not there is undefined, also below what is there', async () => {
        await put('a/b')
        for (const key of ['x', 'a/x', 'a/x/y', 'a/bb', 'x/y/z']) {
          expect(await storage.head(key)).toBeUndefined()
          expect(await storage.get(key)).toBeUndefined()
        }
      })

      test('any range', async () => {
        const bytes = noise(2 * mebibyte + 100)
        await put('key', [bytes])
        const ranges = [
          [0, 1],
          [0, 1024],
          [5, 5],
          [1000, 70_000],
          [mebibyte - 1, mebibyte + 1],
          [0, bytes.length],
          [bytes.length - 1, bytes.length],
          [bytes.length - 10, bytes.length + 10],
          [0, bytes.length * 2],
          [bytes.length, bytes.length + 10],
        ] as const
        for (const [start, end] of ranges) {
          const object = await storage.get('key', { start, end })
          expect(object?.size).toBe(bytes.length)
          const chunks: Uint8Array[] = []
          for await (const chunk of object!.body) chunks.push(chunk)
          expect(Buffer.concat(chunks).equals(bytes.subarray(start, end))).toBe(true)
        }
      })

      test('a range of an empty object', async () => {
        await put('key', [])
        const object = await storage.get('key', { start: 0, end: 1024 })
        expect(object?.size).toBe(0)
        for await (const chunk of object!.body) expect(chunk).toHaveLength(0)
      })

      test('the chunks belong to the reader', async () => {
        const bytes = noise(3 * mebibyte)
        await put('key', [bytes])
        const object = await storage.get('key')
        const chunks: Uint8Array[] = []
        for await (const chunk of object!.body) {
          chunks.push(Uint8Array.from(chunk))
          chunk.fill(0)
        }
        expect(Buffer.concat(chunks).equals(bytes)).toBe(true)
        expect((await readWhole(storage, 'key'))?.equals(bytes)).toBe(true)
      })

      test('may end early', async () => {
        await put('key', [noise(4 * mebibyte)])
        for (let round = 0; round < 50; round += 1) {
          const object = await storage.get('key')
          for await (const chunk of object!.body) {
            expect(chunk.length).toBeGreaterThan(0)
            break
          }
        }
      })
    })

    describe('listing', () => {
      const keys = [
        'a',
        'a-b/x',
        'a.b/x',
        'a0/x',
        'aa/b/c/1',
        'aa/b/c/2',
        'aa/b/c-1',
        'aa/b/c0',
        'aa/b-b/1',
        'aa/z',
        'b/0000000100000000/000000010000000000000001.zst',
        'b/0000000100000000/000000010000000000000001.partial.0123456789abcdef.zst',
        'b/0000000100000000/000000010000000000000002.zst',
        'b/0000000100000001/000000010000000100000000.zst',
        'b/history/00000002.history.zst',
        'z',
      ]
      const sorted = [...keys].sort(ascending)

      test('an empty storage, and a prefix that nothing has', async () => {
        expect(await keysOf(storage.list(''))).toEqual([])
        expect(await keysOf(storage.list('a/b/'))).toEqual([])
        expect(await storage.listDirectories('')).toEqual([])
        expect(await storage.listDirectories('a/b/')).toEqual([])
      })

      test('keys come in byte order of the whole key', async () => {
        for (const key of [...keys].reverse()) await put(key)
        expect(await keysOf(storage.list(''))).toEqual(sorted)
        expect(await keysOf(storage.list('aa/'))).toEqual(sorted.filter((key) => key.startsWith('aa/')))
        expect(await keysOf(storage.list('aa/b/'))).toEqual(['aa/b/c-1', 'aa/b/c/1', 'aa/b/c/2', 'aa/b/c0'])
        expect(await keysOf(storage.list('aa/b/c/'))).toEqual(['aa/b/c/1', 'aa/b/c/2'])
        expect(await keysOf(storage.list('nothing/'))).toEqual([])
      })

      test('only those after a key, whether it exists or not', async () => {
        for (const key of keys) await put(key)
        const places = [...keys, 'Z', 'a-', 'aa', 'aa/', 'aa/b', 'aa/b/', 'aa/b/c/', 'aa/b/c/1.', 'aa/b0', 'b/1', 'zz']
        for (const after of places) {
          for (const prefix of ['', 'aa/', 'aa/b/', 'b/', 'b/0000000100000000/']) {
            const expected = sorted.filter((key) => key.startsWith(prefix) && key > after)
            expect(await keysOf(storage.list(prefix, { after }))).toEqual(expected)
          }
        }
      })

      test('any set of keys', async () => {
        const segment = fc.stringMatching(/^[a-c0./-]{1,3}$/).filter((text) => !/^\.{1,2}$|\//.test(text))
        const key = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/'))
        await fc.assert(
          fc.asyncProperty(fc.uniqueArray(key, { maxLength: 12 }), key, async (candidates, after) => {
            const set = candidates.filter((one) => !candidates.some((other) => other.startsWith(`${one}/`)))
            const fresh = await open()
            for (const key of set) expect(await fresh.putIfAbsent(key, [Buffer.from(key)])).toBe('created')
            const expected = [...set].sort(ascending)
            expect(await keysOf(fresh.list(''))).toEqual(expected)
            expect(await keysOf(fresh.list('', { after }))).toEqual(expected.filter((key) => key > after))
            const directories = new Set(expected.filter((key) => key.includes('/')).map((key) => key.split('/')[0]!))
            expect(await fresh.listDirectories('')).toEqual([...directories].sort(ascending))
          }),
          { numRuns: 30 },
        )
      })

      test('sizes and times are those that head gives', async () => {
        for (const [index, key] of ['x/1', 'x/2', 'x/y/3'].entries()) await put(key, [noise(index * 1000)])
        for (const info of await listWhole(storage.list(''))) expect(await storage.head(info.key)).toEqual(info)
      })

      test('300 objects in a directory, and what is removed meanwhile', async () => {
        const many = Array.from({ length: 300 }, (_, index) => `many/${String(index).padStart(3, '0')}`)
        for (const key of many) await put(key, [])
        expect(await keysOf(storage.list('many/'))).toEqual(many)
        expect(await keysOf(storage.list('many/', { after: 'many/297' }))).toEqual(['many/298', 'many/299'])
        const seen: string[] = []
        for await (const { key } of storage.list('')) {
          seen.push(key)
          if (key === 'many/000') await storage.remove(many.slice(200))
        }
        expect(seen.slice(0, 200)).toEqual(many.slice(0, 200))
      })

      test('directories are those with objects below them', async () => {
        for (const key of ['main/1/wal/x', 'main/2/cluster.json', 'main-2/1/wal/y', 'file']) await put(key)
        expect(await storage.listDirectories('')).toEqual(['main', 'main-2'])
        expect(await storage.listDirectories('main/')).toEqual(['1', '2'])
        expect(await storage.listDirectories('main/1/')).toEqual(['wal'])
        expect(await storage.listDirectories('main/1/wal/')).toEqual([])
        await storage.remove(['main/1/wal/x'])
        expect(await storage.listDirectories('main/')).toEqual(['2'])
      })
    })

    describe('removing', () => {
      test('removes what is named and nothing else', async () => {
        for (const key of ['a/1', 'a/2', 'a/b/3', 'c']) await put(key)
        await storage.remove(['a/1', 'a/b/3', 'not/there'])
        expect(await keysOf(storage.list(''))).toEqual(['a/2', 'c'])
        expect(await storage.head('a/1')).toBeUndefined()
        await storage.remove(['a/2', 'c'])
        await storage.remove(['a/2', 'c'])
        await storage.remove([])
        expect(await keysOf(storage.list(''))).toEqual([])
      })

      test('a removed key can be created again', async () => {
        await put('a/b/key', 'first')
        await storage.remove(['a/b/key'])
        expect(await put('a/b/key', 'second')).toBe('created')
        expect(String(await readWhole(storage, 'a/b/key'))).toBe('second')
      })

      test('writing into directories that are being emptied', async () => {
        const writing = async (writer: number) => {
          for (let index = 0; index < 40; index += 1) {
            const key = `deep/er/and/deeper/${writer}-${index}`
            expect(await put(key)).toBe('created')
            await storage.remove([key])
          }
        }
        await Promise.all([writing(1), writing(2), writing(3), writing(4)])
        expect(await keysOf(storage.list(''))).toEqual([])
      })

      test('objects are not leftovers', async () => {
        await put('a/b')
        expect(await storage.removeAbandoned('', new Date(Date.now() + 60_000))).toBe(0)
        expect(await storage.removeAbandoned('nothing/here/', new Date(Date.now() + 60_000))).toBe(0)
        expect(await keysOf(storage.list(''))).toEqual(['a/b'])
      })
    })

    describe('a bad key is a defect of the caller', () => {
      for (const key of [
        '',
        '/',
        '/a',
        'a/',
        'a//b',
        '.',
        '..',
        'a/../b',
        'a/./b',
        'ä',
        'a\nb',
        'a\0b',
        'a.0123456789abcdef.tmp',
      ]) {
        test(JSON.stringify(key), async () => {
          await expect(storage.head(key)).rejects.toThrow(TypeError)
          await expect(storage.get(key)).rejects.toThrow(TypeError)
          await expect(put(key, 'x')).rejects.toThrow(TypeError)
          await put('good')
          await expect(storage.remove(['good', key])).rejects.toThrow(TypeError)
          expect(await keysOf(storage.list(''))).toEqual(['good'])
        })
      }
      for (const prefix of ['a', '/', '../', 'a//', 'a/../']) {
        test(`as a prefix: ${JSON.stringify(prefix)}`, async () => {
          await expect(keysOf(storage.list(prefix))).rejects.toThrow(TypeError)
          await expect(storage.listDirectories(prefix)).rejects.toThrow(TypeError)
          await expect(storage.removeAbandoned(prefix, new Date())).rejects.toThrow(TypeError)
        })
      }
    })

    test('the URL carries no secret and names the place', () => {
      expect(storage.url).toMatch(/^[a-z0-9]+:/)
      expect(storage.url).not.toContain('@')
    })
  })
}
