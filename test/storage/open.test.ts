import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { memoryStorage } from '../../src/storage/memory.ts'
import { openStorage } from '../../src/storage/open.ts'
import { readOnly } from '../../src/storage/read-only.ts'
import { listWhole, readWhole } from '../contract/storage.ts'
import { temporaryDirectories } from './temporary-archive.ts'

const newDirectory = temporaryDirectories()

describe('an archive’s URL', () => {
  test('names a directory, percent-encoded or not', async () => {
    const directory = join(newDirectory(), 'with space, 100% & ü?#')
    mkdirSync(directory)
    const storage = await openStorage(pathToFileURL(directory).href)
    expect(await storage.putIfAbsent('key', [Buffer.from('x')])).toBe('created')
    expect(storage.url).toBe(pathToFileURL(directory).href)
    const plain = newDirectory()
    expect((await openStorage(`FILE://${plain}`)).url).toBe(pathToFileURL(plain).href)
    const spaced = join(plain, 'a b')
    mkdirSync(spaced)
    expect((await openStorage(`file://${spaced}/`)).url).toBe(pathToFileURL(spaced).href)
  })

  test('of a directory that does not exist', async () => {
    await expect(openStorage('file:///does/not/exist')).rejects.toMatchObject({ code: 'archive-missing' })
  })

  const wrong: [string | undefined, RegExp][] = [
    [undefined, /no archive was named/],
    ['', /no archive was named/],
    ['/srv/archive', /no URL: expected file:\/\/\/absolute\/path/],
    ['archive', /no URL/],
    ['file:archive', /three slashes/],
    ['file:/srv/archive', /three slashes/],
    ['file://archive', /three slashes/],
    ['file://host/srv/archive', /without a host/],
    ['file://', /three slashes/],
    ['file:///srv/archive?x=1', /no query/],
    ['file:///srv/archive#x', /no fragment/],
    ['file:///srv/100%', /"%" is not followed/],
    ['file:///srv/%ff', /"%" is not followed/],
    ['file:///srv/%00', /zero byte/],
    ['s3://bucket/prefix', /"s3:" is not supported/],
    ['https://user:password@host/archive?token=password', /"https:" is not supported/],
  ]
  for (const [url, reason] of wrong) {
    test(`that is wrong: ${url}`, async () => {
      const error = await openStorage(url).then(
        () => undefined,
        (error: unknown) => error,
      )
      expect(error).toMatchObject({ code: 'usage', reason: expect.stringMatching(reason) })
      expect(error).toMatchObject({ hint: expect.stringMatching(/file:\/\/\/srv\/archive/) })
      expect((error as Error).message).not.toContain('password')
    })
  }
})

test('a read-only storage reads, and refuses to write', async () => {
  const storage = memoryStorage()
  await storage.putIfAbsent('a/key', [Buffer.from('x')])
  const reading = readOnly(storage)
  expect(String(await readWhole(reading, 'a/key'))).toBe('x')
  expect(await reading.head('a/key')).toEqual(await storage.head('a/key'))
  expect(await listWhole(reading.list(''))).toEqual(await listWhole(storage.list('')))
  expect(await reading.listDirectories('')).toEqual(['a'])
  expect(reading.url).toBe(storage.url)
  const internal = { code: 'internal', reason: 'this job may only read the archive' }
  await expect(reading.putIfAbsent('b', [Buffer.from('x')])).rejects.toMatchObject(internal)
  await expect(reading.remove(['a/key'])).rejects.toMatchObject(internal)
  await expect(reading.removeAbandoned('', new Date())).rejects.toMatchObject(internal)
  expect(await listWhole(storage.list(''))).toHaveLength(1)
})
