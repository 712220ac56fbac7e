/** What every codec must do (src/codec/codec.ts). Each implementation runs this suite. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Codec, Level } from '../../src/codec/codec.ts'
import { SeawallError } from '../../src/core/errors.ts'
import { noise, samples, skippable, text } from './samples.ts'
import { stockZstd, testWithStockZstd } from './stock-zstd.ts'

const mebibyte = 1024 * 1024

/** Decodes with chunks of a size. */
export async function decodeWhole(
  codec: Codec,
  stored: Uint8Array,
  maxSize: number,
  chunk = mebibyte,
): Promise<Buffer> {
  const plain: Uint8Array[] = []
  for await (const part of codec.decode(reusing(stored, chunk), { object: 'the/key', maxSize })) plain.push(part)
  return Buffer.concat(plain)
}

/** One buffer for all chunks: who asks for the next one must be done with the last. */
async function* reusing(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(Math.min(size, bytes.length))
  for (let start = 0; start < bytes.length; start += size) {
    const part = bytes.subarray(start, start + size)
    buffer.set(part)
    yield buffer.subarray(0, part.length)
    buffer.fill(0xee)
  }
}

async function encodeWhole(codec: Codec, plain: Uint8Array, level: Level, chunk: number): Promise<Buffer> {
  const encoder = codec.encoder(level)
  const stored: Uint8Array[] = []
  // One buffer for all chunks: the encoder must be done with it when the promise is fulfilled.
  const reused = Buffer.alloc(chunk)
  for (let start = 0; start < plain.length; start += chunk) {
    const part = plain.subarray(start, start + chunk)
    reused.set(part)
    stored.push(...(await encoder.push(reused.subarray(0, part.length))))
  }
  reused.fill(0xee)
  stored.push(...(await encoder.finish()))
  encoder.close()
  return Buffer.concat(stored)
}

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}

async function rejection(promise: Promise<unknown>): Promise<SeawallError> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(error).toBeInstanceOf(SeawallError)
  return error as SeawallError
}

export interface CodecContractOptions {
  readonly open: () => Promise<Codec>
  /** The other implementation: each reads what the other wrote. */
  readonly openOther: () => Promise<Codec>
  /** Whether the frames it writes carry a content checksum. */
  readonly writesChecksum: boolean
}

export function codecContract(name: string, { open, openOther, writesChecksum }: CodecContractOptions): void {
  describe(`codec contract: ${name}`, async () => {
    const codec = await open()
    const other = await openOther()
    const levels: Level[] = ['none', 1, 3, 9]

    describe('round trips', () => {
      for (const { name, plain } of samples) {
        for (const level of levels) {
          test(`${name}, level ${level}, in one frame`, async () => {
            const stored = codec.compress(plain, level)
            expect(codec.compress(plain, level)).toEqual(stored)
            expect((await decodeWhole(codec, stored, plain.length)).equals(plain)).toBe(true)
            expect((await decodeWhole(other, stored, plain.length)).equals(plain)).toBe(true)
          })
          test(`${name}, level ${level}, streamed`, async () => {
            const stored = await encodeWhole(codec, plain, level, 100_000)
            expect((await decodeWhole(codec, stored, plain.length)).equals(plain)).toBe(true)
            expect((await decodeWhole(other, stored, plain.length)).equals(plain)).toBe(true)
          })
        }
      }

      test('8 MiB in one frame, and every level', async () => {
        for (let level = 1; level <= codec.maxLevel; level += 1) {
          const plain = text(level <= 9 ? 8 * mebibyte : mebibyte)
          const stored = codec.compress(plain, level)
          expect((await decodeWhole(codec, stored, plain.length)).equals(plain)).toBe(true)
        }
      })

      test('anything, in any frames and chunks', async () => {
        const part = fc.oneof(
          fc.uint8Array({ maxLength: 5000 }),
          fc.integer({ min: 1, max: 300_000 }).map((size) => new Uint8Array(size)),
          fc.integer({ min: 1, max: 300_000 }).map((size) => text(size)),
          fc.integer({ min: 1, max: 300_000 }).map((size) => noise(size)),
        )
        const frame = fc.record({
          parts: fc.array(part, { maxLength: 4 }),
          level: fc.constantFrom<Level>('none', 1, 2, 5),
          isStreamed: fc.boolean(),
          skipped: fc.option(fc.uint8Array({ maxLength: 50 })),
        })
        const input = fc.record({
          frames: fc.array(frame, { minLength: 1, maxLength: 4 }),
          chunk: fc.oneof(fc.integer({ min: 40, max: 3000 }), fc.integer({ min: 3000, max: 400_000 })),
        })
        await fc.assert(
          fc.asyncProperty(input, async ({ frames, chunk }) => {
            const stored: Uint8Array[] = []
            const plain: Uint8Array[] = []
            for (const { parts, level, isStreamed, skipped } of frames) {
              const content = Buffer.concat(parts)
              plain.push(content)
              stored.push(isStreamed ? await encodeWhole(codec, content, level, chunk) : codec.compress(content, level))
              if (skipped) stored.push(skippable(skipped))
            }
            const expected = Buffer.concat(plain)
            for (const reader of [codec, other]) {
              const read = await decodeWhole(reader, Buffer.concat(stored), expected.length, chunk)
              expect(read.equals(expected)).toBe(true)
            }
          }),
          { numRuns: 60 },
        )
      })
    })

    describe('what the stock program says', () => {
      for (const { name, plain } of samples) {
        testWithStockZstd(`it reads ${name}`, async () => {
          for (const level of levels) {
            for (const stored of [codec.compress(plain, level), await encodeWhole(codec, plain, level, mebibyte)]) {
              stockZstd(['-t'], stored)
              expect(stockZstd(['-d'], stored).equals(plain)).toBe(true)
            }
          }
        })
        testWithStockZstd(`its ${name} are read`, async () => {
          for (const options of [['-1'], ['-19'], ['-3', '--no-check'], ['-3', '--no-content-size']]) {
            expect((await decodeWhole(codec, stockZstd(options, plain), plain.length)).equals(plain)).toBe(true)
          }
        })
      }

      testWithStockZstd('it reads frames behind a skippable one', () => {
        const stored = Buffer.concat([skippable(text(100)), codec.compress(text(5000), 1), codec.compress(text(10), 1)])
        expect(stockZstd(['-d'], stored)).toEqual(Buffer.concat([text(5000), text(10)]))
      })

      testWithStockZstd('a window over 128 MiB is refused', async () => {
        const stored = stockZstd(['-1', '--long=28'], noise(1000))
        const error = await rejection(decodeWhole(codec, stored, mebibyte))
        expect(error.code).toBe('corrupt')
        expect(error.reason).toMatch(/window of 268435456 bytes/)
      })
    })

    describe('frames of any kind', () => {
      const content = [text(3000), noise(400), text(10)]
      const frames = [
        codec.compress(content[0]!, 1),
        codec.compress(content[1]!, 'none'),
        codec.compress(content[2]!, 3),
      ]
      const plain = Buffer.concat(content)
      const [first, second, third] = frames as [Uint8Array, Uint8Array, Uint8Array]
      const empty = codec.compress(new Uint8Array(0), 1)
      const variants = {
        'several frames': [first, second, third],
        'a skippable frame first': [skippable(noise(100)), first, second, third],
        'a skippable frame in the middle': [first, skippable(noise(100)), second, third],
        'a skippable frame last': [first, second, third, skippable(noise(100))],
        'an empty skippable frame': [skippable(noise(0)), first, skippable(noise(0)), second, third],
        'all kinds of skippable frames': [
          ...Array.from({ length: 16 }, (_, index) => skippable(noise(index), index)),
          first,
          second,
          third,
        ],
        'a skippable frame that looks like a zstd frame': [skippable(first), first, second, third],
        'empty frames': [empty, first, empty, second, third, empty],
      }
      for (const [name, parts] of Object.entries(variants)) {
        const stored = Buffer.concat(parts)
        for (const chunk of [1, 2, 3, 1000, stored.length]) {
          test(`${name}, ${chunk === stored.length ? 'all bytes' : `${chunk} byte(s)`} at a time`, async () => {
            expect((await decodeWhole(codec, stored, plain.length, chunk)).equals(plain)).toBe(true)
          })
        }
      }

      test('chunks without bytes change nothing', async () => {
        async function* withNothing() {
          for (const frame of frames) yield* [new Uint8Array(0), frame, new Uint8Array(0)]
        }
        const read: Uint8Array[] = []
        for await (const chunk of codec.decode(withNothing(), { object: 'k', maxSize: plain.length })) read.push(chunk)
        expect(Buffer.concat(read).equals(plain)).toBe(true)
        const encoder = codec.encoder(1)
        const stored = [...(await encoder.push(new Uint8Array(0))), ...(await encoder.finish())]
        expect(await decodeWhole(codec, Buffer.concat(stored), 0)).toHaveLength(0)
      })
    })

    test('blocks of any size, raw and repeated', async () => {
      const sizes = [131_072, 1, 100_000, 100_000, 0, 70_001, 131_072, 99_999]
      const frame: Uint8Array[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3])]
      const plain: Uint8Array[] = []
      for (const [index, size] of [...sizes, ...sizes].entries()) {
        const isRepeated = index >= sizes.length
        const content = isRepeated ? Buffer.alloc(size, index) : noise(size)
        const header = Buffer.alloc(3)
        header.writeUIntLE((size << 3) | (isRepeated ? 0b10 : 0) | (index === 2 * sizes.length - 1 ? 1 : 0), 0, 3)
        plain.push(content)
        frame.push(header, isRepeated ? Buffer.alloc(1, index) : content)
      }
      const stored = Buffer.concat(frame)
      const expected = Buffer.concat(plain)
      for (const chunk of [1000, 131_072, 150_000, stored.length]) {
        expect((await decodeWhole(codec, stored, expected.length, chunk)).equals(expected)).toBe(true)
      }
    })

    test('a frame made at once says how much it holds', () => {
      for (const level of levels) {
        for (const plain of [text(10), text(300_000)]) {
          const frame = Buffer.from(codec.compress(plain, level))
          const descriptor = frame[4]!
          const isSingleSegment = (descriptor & 0b10_0000) !== 0
          const offset = isSingleSegment ? 5 : 6
          if (descriptor >> 6 === 0) expect(isSingleSegment && frame[offset]).toBe(plain.length)
          if (descriptor >> 6 === 1) expect(frame.readUInt16LE(offset) + 256).toBe(plain.length)
          if (descriptor >> 6 === 2) expect(frame.readUInt32LE(offset)).toBe(plain.length)
          expect(descriptor >> 6).toBeLessThan(3)
        }
      }
    })

    describe('a cut is an error', () => {
      const head = skippable(text(50))
      for (const level of ['none', 1] as const) {
        const one = codec.compress(text(300), level)
        const stored = Buffer.concat([head, one, skippable(text(20)), one, one])
        const ends = [one.length + head.length, one.length + head.length + 28]
        const boundaries = new Set([...ends, ends[1]! + one.length, stored.length])
        test(`at every place of frames of level ${level} but between them`, async () => {
          for (let length = 0; length <= stored.length; length += 1) {
            for (const chunk of [stored.length, 7]) {
              const reading = decodeWhole(codec, stored.subarray(0, length), 20_000, chunk)
              if (boundaries.has(length)) await reading
              else {
                const error = await rejection(reading)
                expect(error.code).toBe('corrupt')
                expect(error.object).toBe('the/key')
                expect(error.reason).toContain(`ends after ${length} bytes`)
              }
            }
          }
        })
      }

      test('of several blocks, at every place near their borders', async () => {
        for (const stored of [
          codec.compress(noise(300_000), 1),
          await encodeWhole(codec, noise(300_000), 1, 100_000),
        ]) {
          const places = [stored.length - 1, stored.length - 2, stored.length - 4, stored.length - 5]
          for (let place = 130_900; place < 131_200; place += 1) places.push(place)
          for (const length of places) {
            const error = await rejection(decodeWhole(codec, stored.subarray(0, length), 300_000))
            expect(error.code).toBe('corrupt')
          }
        }
      })

      test('the reason names the place', async () => {
        const stored = Buffer.concat([skippable(text(50)), codec.compress(noise(200_000), 'none')])
        const reason = async (length: number) =>
          (await rejection(decodeWhole(codec, stored.subarray(0, length), mebibyte))).reason
        expect(await reason(0)).toMatch(/before any zstd frame/)
        expect(await reason(2)).toMatch(/inside the magic number/)
        expect(await reason(6)).toMatch(/inside the header of a skippable frame/)
        expect(await reason(20)).toMatch(/inside a skippable frame/)
        expect(await reason(58)).toMatch(/before any zstd frame/)
        expect(await reason(60)).toMatch(/inside the magic number/)
        expect(await reason(63)).toMatch(/inside a frame header/)
        expect(await reason(68)).toMatch(/between the blocks/)
        expect(await reason(1000)).toMatch(/inside a block/)
      })
    })

    describe('damage is an error', () => {
      const plain = text(20_000)
      const stored = Buffer.from(codec.compress(plain, 1))

      for (const [name, garbage] of Object.entries({
        'a zero byte': Buffer.alloc(1),
        zeroes: Buffer.alloc(4096),
        'a newline': Buffer.from('\n'),
        text: Buffer.from('this is no zstd frame'),
        'half a magic number': Buffer.from([0x28, 0xb5]),
        'a frame of the old format': Buffer.from([0x27, 0xb5, 0x2f, 0xfd, 0, 0, 0]),
      })) {
        test(`followed by ${name}`, async () => {
          for (const chunk of [1, 100_000]) {
            const error = await rejection(decodeWhole(codec, Buffer.concat([stored, garbage]), plain.length, chunk))
            expect(error.code).toBe('corrupt')
          }
        })
      }

      test('no byte at the front may be missing or added', async () => {
        expect((await rejection(decodeWhole(codec, stored.subarray(1), plain.length))).code).toBe('corrupt')
        const shifted = Buffer.concat([Buffer.alloc(1), stored])
        expect((await rejection(decodeWhole(codec, shifted, plain.length))).code).toBe('corrupt')
      })

      test('of any single bit, where there is a checksum: an error, or the same bytes', async () => {
        const checked = Buffer.from((writesChecksum ? codec : other).compress(plain.subarray(0, 3000), 1))
        expect(checked[4]! & 0b100).toBe(0b100)
        let detected = 0
        for (let position = 0; position < checked.length; position += 1) {
          for (let bit = 0; bit < 8; bit += 1) {
            const damaged = Buffer.from(checked)
            damaged[position]! ^= 1 << bit
            try {
              expect((await decodeWhole(codec, damaged, plain.length)).equals(plain.subarray(0, 3000))).toBe(true)
            } catch (error) {
              if (!(error instanceof SeawallError)) throw error
              detected += 1
            }
          }
        }
        expect(detected).toBeGreaterThan(checked.length * 7)
      })

      test('of any kind: never more than the limit, never without end', async () => {
        await fc.assert(
          fc.asyncProperty(
            fc.integer({ min: 0, max: stored.length - 1 }),
            fc.uint8Array({ minLength: 1, maxLength: 8 }),
            async (place, bytes) => {
              const damaged = Buffer.from(stored)
              damaged.set(bytes.subarray(0, stored.length - place), place)
              try {
                expect((await decodeWhole(codec, damaged, plain.length)).length).toBeLessThanOrEqual(plain.length)
              } catch (error) {
                expect(['corrupt', 'refused']).toContain((error as SeawallError).code)
              }
            },
          ),
          { numRuns: 300 },
        )
      })

      test('a frame that needs a dictionary', async () => {
        const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0b0010_0001, 7, 0, 1, 0, 0])
        const error = await rejection(decodeWhole(codec, frame, 100))
        expect(error.reason).toMatch(/at byte 0, a frame that needs a dictionary/)
      })

      test('the content size in the header does not match', async () => {
        const frame = Buffer.from(codec.compress(noise(300), 'none'))
        frame.writeUInt32LE(301, 5)
        expect((await rejection(decodeWhole(codec, frame, 1000))).code).toBe('corrupt')
      })
    })

    describe('limits', () => {
      test('one byte more than expected is an error', async () => {
        for (const level of levels) {
          const stored = codec.compress(text(5000), level)
          expect(await decodeWhole(codec, stored, 5000)).toHaveLength(5000)
          const error = await rejection(decodeWhole(codec, stored, 4999))
          expect(error.code).toBe('corrupt')
          expect(error.reason).toMatch(/more than the 4999 bytes/)
        }
      })

      test('a bomb ends at the limit', async () => {
        const error = await rejection(decodeWhole(codec, bomb(10_000), mebibyte))
        expect(error.reason).toMatch(/more than the 1048576 bytes/)
      })

      test('a few bytes that hold 256 MiB are decoded a few MiB at a time', async () => {
        const size = 256 * mebibyte
        let read = 0
        let held = 0
        collectGarbage()
        const before = process.memoryUsage().arrayBuffers
        const stored = bomb(2048)
        for await (const chunk of codec.decode(chunksOf(stored, stored.length), { object: 'the/key', maxSize: size })) {
          expect(chunk.length).toBeLessThanOrEqual(mebibyte)
          read += chunk.length
          held = Math.max(held, process.memoryUsage().arrayBuffers - before)
        }
        expect(read).toBe(size)
        expect(held).toBeLessThan(100 * mebibyte)
      })

      test('an encoder holds back little of 64 MiB', async () => {
        for (const level of ['none', 1, 9] as const) {
          const encoder = codec.encoder(level)
          const chunk = noise(mebibyte)
          let given = 0
          let taken = 0
          for (let index = 0; index < 64; index += 1) {
            given += chunk.length
            for (const part of await encoder.push(chunk)) taken += part.length
            // Noise repeats here, and far back matches make the rest small: what is held back is at most a window.
            if (index === 0) expect(given - taken).toBeLessThanOrEqual(mebibyte)
          }
          for (const part of await encoder.finish()) taken += part.length
          expect(taken).toBeGreaterThan(mebibyte)
        }
      })

      test('what is no level is refused', () => {
        for (const level of [0, -1, 1.5, codec.maxLevel + 1, Number.NaN]) {
          expect(() => codec.compress(text(10), level)).toThrow(RangeError)
          expect(() => codec.encoder(level)).toThrow(RangeError)
        }
      })
    })

    describe('a stream', () => {
      const plain = Buffer.concat([text(500_000), noise(500_000)])
      const stored = Buffer.concat([skippable(text(9)), codec.compress(plain, 1), codec.compress(plain, 'none')])

      test('comes out whole', async () => {
        const read: Uint8Array[] = []
        for await (const chunk of codec.decode(chunksOf(stored, 70_000), { object: 'the/key', maxSize: 2_000_000 })) {
          read.push(chunk)
        }
        expect(Buffer.concat(read).equals(Buffer.concat([plain, plain]))).toBe(true)
      })

      test('that is cut is an error', async () => {
        const reading = async () => {
          for await (const _ of codec.decode(chunksOf(stored.subarray(0, -1), 70_000), { object: 'k', maxSize: 9e9 }));
        }
        expect((await rejection(reading())).code).toBe('corrupt')
      })

      test('that fails passes its error on', async () => {
        async function* failing(): AsyncGenerator<Uint8Array> {
          yield stored.subarray(0, 1000)
          throw new Error('gone')
        }
        await expect(async () => {
          for await (const _ of codec.decode(failing(), { object: 'the/key', maxSize: 9e9 }));
        }).rejects.toThrow('gone')
      })

      test('that is left early ends its source', async () => {
        let isEnded = false
        async function* source(): AsyncGenerator<Uint8Array> {
          try {
            yield* chunksOf(stored, 70_000)
          } finally {
            isEnded = true
          }
        }
        for await (const _ of codec.decode(source(), { object: 'the/key', maxSize: 9e9 })) break
        expect(isEnded).toBe(true)
      })
    })

    test('closing an encoder before the end is harmless, and so is closing twice; what follows is an error', async () => {
      for (let index = 0; index < 100; index += 1) {
        const encoder = codec.encoder(1)
        await encoder.push(text(1000))
        encoder.close()
        encoder.close()
        await expect(encoder.push(text(1000))).rejects.toThrow()
        await expect(encoder.finish()).rejects.toThrow()
      }
      expect(await decodeWhole(codec, codec.compress(text(1000), 1), 1000)).toEqual(text(1000))
    })

    test('a finished encoder can be closed, and not used again', async () => {
      const encoder = codec.encoder(1)
      await encoder.push(text(1000))
      await encoder.finish()
      encoder.close()
      await expect(encoder.push(text(1000))).rejects.toThrow()
      await expect(encoder.finish()).rejects.toThrow()
    })

    test('many at work at once do not mix', async () => {
      const contents = Array.from({ length: 4 }, (_, index) => noise(300_000, `content ${index}`))
      const read = await Promise.all(
        contents.map(async (plain) =>
          decodeWhole(codec, await encodeWhole(codec, plain, 1, 50_000), plain.length, 9999),
        ),
      )
      for (const [index, plain] of contents.entries()) expect(read[index]!.equals(plain)).toBe(true)
    })
  })
}

/** So that what earlier tests left does not count as held at first, and as freed later. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}

/** A frame of so many blocks of 128 KiB, each made of one repeated byte: four bytes a block. */
function bomb(blocks: number): Buffer {
  const block = Buffer.alloc(4)
  block.writeUIntLE((131_072 << 3) | 0b010, 0, 3)
  const stored = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3])]
  for (let index = 0; index < blocks; index += 1) stored.push(block)
  stored.push(Buffer.from([1, 0, 0]))
  return Buffer.concat(stored)
}
