import { execFileSync } from 'node:child_process'
import {
  type BigIntStats,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import * as nodeFileSystem from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLocal } from '../../src/storage/local.ts'
import type { FileSystem } from '../../src/storage/local-root.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { noise } from '../contract/samples.ts'
import { listWhole, readWhole } from '../contract/storage.ts'
import { canMount, mountSmall } from '../support/mount.ts'
import { temporaryDirectory } from '../support/temporary.ts'
import { spiedFileSystem } from './spied-file-system.ts'
import { temporaryDirectories } from './temporary-archive.ts'

const newDirectory = temporaryDirectories()
const content = noise(3000)

/** Every operation, on something that exists and on something that does not. */
const operations: Record<string, (storage: Storage) => Promise<unknown>> = {
  head: (storage) => storage.head('main/key'),
  get: (storage) => readWhole(storage, 'main/key'),
  'list everything': (storage) => listWhole(storage.list('')),
  'list a prefix': (storage) => listWhole(storage.list('main/')),
  listDirectories: (storage) => storage.listDirectories(''),
  'listDirectories below a prefix': (storage) => storage.listDirectories('main/'),
  putIfAbsent: (storage) => storage.putIfAbsent('main/other', [content]),
  'putIfAbsent at the top': (storage) => storage.putIfAbsent('other', [content]),
  remove: (storage) => storage.remove(['main/key']),
  removeAbandoned: (storage) => storage.removeAbandoned('', new Date()),
  'removeAbandoned below a prefix': (storage) => storage.removeAbandoned('main/', new Date()),
}

describe('the root', () => {
  test('is never created', async () => {
    const path = join(newDirectory(), 'archive')
    await expect(openLocal(path)).rejects.toMatchObject({
      code: 'archive-missing',
      object: path,
      reason: 'the directory does not exist',
      hint: expect.stringMatching(/mounted/),
    })
    expect(existsSync(path)).toBe(false)
  })

  test('is no file, and not below one', async () => {
    const path = join(newDirectory(), 'file')
    writeFileSync(path, '')
    for (const wrong of [path, join(path, 'below')]) {
      await expect(openLocal(wrong)).rejects.toMatchObject({ code: 'archive-missing', reason: 'it is no directory' })
    }
  })

  test('may be a symbolic link', async () => {
    const directory = newDirectory()
    mkdirSync(join(directory, 'real'))
    symlinkSync('real', join(directory, 'link'))
    const storage = await openLocal(join(directory, 'link'))
    expect(await storage.putIfAbsent('a/key', [content])).toBe('created')
    expect((await listWhole(storage.list(''))).map(({ key }) => key)).toEqual(['a/key'])
  })

  test('may be written with a slash at its end', async () => {
    const directory = newDirectory()
    const storage = await openLocal(`${directory}//`)
    expect(await storage.putIfAbsent('key', [content])).toBe('created')
    await storage.remove(['key'])
    expect(readdirSync(directory)).toEqual([])
  })

  for (const [name, operation] of Object.entries(operations)) {
    test(`that was moved away is no absence, and is not made again: ${name}`, async () => {
      const root = join(newDirectory(), 'archive')
      mkdirSync(root)
      const storage = await openLocal(root)
      await storage.putIfAbsent('main/key', [content])
      renameSync(root, `${root}.away`)
      await expect(operation(storage)).rejects.toMatchObject({ code: 'archive-missing', object: root })
      expect(existsSync(root)).toBe(false)
    })

    test(`whose place an empty directory has taken, as when a disk was unmounted: ${name}`, async () => {
      const root = join(newDirectory(), 'archive')
      mkdirSync(root)
      const storage = await openLocal(root)
      await storage.putIfAbsent('main/key', [content])
      renameSync(root, `${root}.away`)
      mkdirSync(root)
      await expect(operation(storage)).rejects.toMatchObject({
        code: 'archive-missing',
        reason: expect.stringMatching(/another directory has taken its place/),
      })
      expect(readdirSync(`${root}.away/main`)).toEqual(['key'])
    })
  }

  test('that goes away in the middle of a listing', async () => {
    const root = join(newDirectory(), 'archive')
    mkdirSync(root)
    const storage = await openLocal(root)
    for (const key of ['a/1', 'b/1', 'c/1']) await storage.putIfAbsent(key, [content])
    const listing = storage.list('')[Symbol.asyncIterator]()
    await listing.next()
    renameSync(root, `${root}.away`)
    await expect(listing.next()).rejects.toMatchObject({ code: 'archive-missing' })
  })
})

describe('another directory in the place of the root', () => {
  function replace(root: string): void {
    renameSync(root, `${root}.away`)
    mkdirSync(root)
    mkdirSync(join(root, 'foreign'))
    writeFileSync(join(root, 'foreign', 'object'), '')
  }

  test('is not listed', async () => {
    const root = join(newDirectory(), 'archive')
    mkdirSync(root)
    const storage = await openLocal(root)
    replace(root)
    const listing = storage.list('')[Symbol.asyncIterator]()
    await expect(listing.next()).rejects.toMatchObject({ code: 'archive-missing' })
  })

  test('is found out at the end, if it came in the last moment', async () => {
    for (const operation of [
      (storage: Storage) => listWhole(storage.list('')),
      (storage: Storage) => storage.listDirectories(''),
    ]) {
      const root = join(newDirectory(), 'archive')
      mkdirSync(root)
      const storage = await openLocal(
        root,
        spiedFileSystem(({ operation }) => {
          if (operation === 'readdir' && !existsSync(`${root}.away`)) replace(root)
        }),
      )
      await expect(operation(storage)).rejects.toMatchObject({ code: 'archive-missing' })
    }
  })
})

describe('what lies in the directory', () => {
  test('are the objects, readable by the group, and nothing else', async () => {
    const root = newDirectory()
    const storage = await openLocal(root)
    const umask = process.umask(0)
    try {
      await storage.putIfAbsent('main/1/key', [content])
    } finally {
      process.umask(umask)
    }
    expect(readdirSync(root, { recursive: true })).toEqual(['main', 'main/1', 'main/1/key'])
    expect(statSync(join(root, 'main/1/key')).mode & 0o7777).toBe(0o640)
    expect(statSync(join(root, 'main')).mode & 0o7777).toBe(0o750)
    expect(statSync(join(root, 'main/1/key')).nlink).toBe(1)
  })

  test('lost+found at the root is not looked into', async () => {
    const root = newDirectory()
    mkdirSync(join(root, 'lost+found'))
    writeFileSync(join(root, 'lost+found', 'x'), '')
    mkdirSync(join(root, 'main'))
    const storage = await openLocal(root)
    expect(await listWhole(storage.list(''))).toEqual([])
    expect(await storage.listDirectories('')).toEqual([])
    await storage.putIfAbsent('main/lost+found/key', [content])
    expect((await listWhole(storage.list(''))).map(({ key }) => key)).toEqual(['main/lost+found/key'])
  })

  test('a file of a name that is nobody’s is listed, so that it is not overlooked', async () => {
    const root = newDirectory()
    for (const name of [
      'Übung',
      '.hidden',
      'key.tmp',
      'key.0123.tmp',
      'key.0123456789ABCDEF.tmp',
      '.0123456789abcdef.tmp',
    ]) {
      writeFileSync(join(root, name), '')
    }
    writeFileSync(join(root, 'key.0123456789abcdef.tmp'), '')
    const storage = await openLocal(root)
    expect((await listWhole(storage.list(''))).map(({ key }) => key)).toEqual([
      '.0123456789abcdef.tmp',
      '.hidden',
      'key.0123.tmp',
      'key.0123456789ABCDEF.tmp',
      'key.tmp',
      'Übung',
    ])
  })

  test('something that is no file is an error, and neither absent nor an object', async () => {
    const root = newDirectory()
    const storage = await openLocal(root)
    await storage.putIfAbsent('outside', [content])
    mkdirSync(join(root, 'main'))
    mkdirSync(join(root, 'main/directory'))
    symlinkSync('../outside', join(root, 'main/link'))
    symlinkSync('nowhere', join(root, 'main/dangling'))
    execFileSync('mkfifo', [join(root, 'main/fifo')])
    for (const key of ['main/directory', 'main/link', 'main/dangling', 'main/fifo']) {
      await expect(storage.head(key)).rejects.toMatchObject({ code: 'archive-io', object: join(root, key) })
      await expect(storage.get(key)).rejects.toMatchObject({ code: 'archive-io' })
      await expect(storage.putIfAbsent(key, [content])).rejects.toMatchObject({ code: 'archive-io' })
    }
    await expect(listWhole(storage.list(''))).rejects.toMatchObject({
      code: 'archive-io',
      reason: 'it is neither a file nor a directory',
    })
    await expect(storage.remove(['main/directory'])).rejects.toMatchObject({ code: 'archive-io' })
    expect(readdirSync(join(root, 'main')).sort()).toEqual(['dangling', 'directory', 'fifo', 'link'])
  })

  test('a key below a file is an error, and not absent', async () => {
    const storage = await openLocal(newDirectory())
    await storage.putIfAbsent('a', [content])
    for (const operation of [
      () => storage.head('a/b'),
      () => storage.get('a/b'),
      () => storage.putIfAbsent('a/b', [content]),
      () => storage.remove(['a/b']),
      () => listWhole(storage.list('a/')),
    ]) {
      await expect(operation()).rejects.toMatchObject({
        code: 'archive-io',
        reason: 'a file stands where a directory should be',
      })
    }
  })

  test.each([
    ['a link to another directory', (place: string) => symlinkSync(newDirectory(), place)],
    ['a dangling link', (place: string) => symlinkSync('nowhere', place)],
  ])('%s on the way to a key is an error, and neither absent nor written through', async (_, make) => {
    const root = newDirectory()
    const storage = await openLocal(root)
    await storage.putIfAbsent('main/cluster.json', [content])
    make(join(root, 'main/wal'))
    for (const operation of [
      () => storage.head('main/wal/0/key'),
      () => storage.get('main/wal/0/key'),
      () => storage.putIfAbsent('main/wal/0/key', [content]),
      () => listWhole(storage.list('main/wal/')),
      () => storage.listDirectories('main/wal/'),
    ]) {
      await expect(operation()).rejects.toMatchObject({
        code: 'archive-io',
        object: join(root, 'main/wal'),
        reason: 'it is a symbolic link',
      })
    }
    expect(readdirSync(join(root, 'main'))).toEqual(['cluster.json', 'wal'])
  })

  test.skipIf(!canMount)(
    'a file system mounted on the way to a key is an error: it may be absent tomorrow',
    async () => {
      const root = temporaryDirectory()
      const storage = await openLocal(root)
      await storage.putIfAbsent('main/wal/key', [content])
      mountSmall('1m', join(root, 'main/wal'))
      await expect(storage.head('main/wal/key')).rejects.toMatchObject({
        reason: 'another file system is mounted there',
      })
      await expect(storage.putIfAbsent('main/wal/other', [content])).rejects.toMatchObject({ code: 'archive-io' })
    },
  )

  test.skipIf(!canMount)('another file system in the place of the root is not the archive', async () => {
    const root = mountSmall('1m')
    const storage = await openLocal(root)
    await storage.putIfAbsent('key', [content])
    // The root directories of two file systems of one kind have the same inode number.
    mountSmall('1m', root)
    await expect(storage.head('key')).rejects.toMatchObject({ code: 'archive-missing' })
    await expect(storage.putIfAbsent('other', [content])).rejects.toMatchObject({ code: 'archive-missing' })
  })

  test('files whose inode numbers differ only beyond what a double holds are told apart', async () => {
    const large = 2n ** 57n
    const numbers = new Map<bigint, bigint>()
    const enlarge = (status: BigIntStats) => {
      if (!numbers.has(status.ino)) numbers.set(status.ino, large + BigInt(numbers.size))
      return Object.assign(status, { ino: numbers.get(status.ino)! })
    }
    const fileSystem = {
      ...nodeFileSystem,
      async open(...args: Parameters<typeof nodeFileSystem.open>) {
        const file = await nodeFileSystem.open(...args)
        const stat = file.stat.bind(file)
        file.stat = (async (options?: { bigint?: boolean }) => {
          const status = await stat(options as { bigint: true })
          return options?.bigint
            ? enlarge(status)
            : Object.assign(status, { ino: Number(enlarge(await stat({ bigint: true })).ino) })
        }) as typeof file.stat
        return file
      },
    } as FileSystem
    const storage = await openLocal(newDirectory(), fileSystem)
    expect(await storage.putIfAbsent('key', [content])).toBe('created')
    expect(await storage.putIfAbsent('key', [Buffer.from('different')])).toBe('exists')
  })

  test('empty directories are no objects', async () => {
    const root = newDirectory()
    mkdirSync(join(root, 'main/1/wal'), { recursive: true })
    writeFileSync(join(root, 'main/1/wal', `x.${'a'.repeat(16)}.tmp`), '')
    const storage = await openLocal(root)
    expect(await storage.listDirectories('')).toEqual([])
    expect(await storage.listDirectories('main/')).toEqual([])
    expect(await storage.putIfAbsent('main/1/wal/x', [content])).toBe('created')
  })
})

describe('leftovers', () => {
  test('only those last written before the moment are removed', async () => {
    const root = newDirectory()
    const storage = await openLocal(root)
    await storage.putIfAbsent('main/1/key', [content])
    const day = 86_400_000
    const temporary = (name: string, age: number) => {
      const path = join(root, 'main/1', name)
      writeFileSync(path, 'x')
      const time = new Date(Date.now() - age)
      utimesSync(path, time, time)
    }
    temporary('key.0000000000000000.tmp', 2 * day)
    temporary('key.0000000000000001.tmp', 2 * day)
    temporary('key.0000000000000002.tmp', day / 2)
    temporary('key.old', 2 * day)
    const before = new Date(Date.now() - day)
    expect(await storage.removeAbandoned('main/2/', before)).toBe(0)
    expect(await storage.removeAbandoned('main/', before)).toBe(2)
    expect(await storage.removeAbandoned('', before)).toBe(0)
    expect(readdirSync(join(root, 'main/1'))).toEqual(['key', 'key.0000000000000002.tmp', 'key.old'])
  })
})

describe('a file that changes while it is read', () => {
  test('was cut before', async () => {
    const root = newDirectory()
    const storage = await openLocal(root)
    await storage.putIfAbsent('key', [content])
    const object = await storage.get('key')
    truncateSync(join(root, 'key'), 2000)
    await expect(async () => {
      for await (const _ of object!.body);
    }).rejects.toMatchObject({ code: 'archive-io', reason: 'it has 2000 bytes, and had 3000 before' })
  })

  test('is cut in the middle', async () => {
    const root = newDirectory()
    const storage = await openLocal(root)
    await storage.putIfAbsent('key', [noise(3 * 1024 * 1024)])
    const object = await storage.get('key')
    await expect(async () => {
      for await (const _ of object!.body) truncateSync(join(root, 'key'), 1024 * 1024 + 5)
    }).rejects.toMatchObject({ code: 'archive-io', reason: expect.stringMatching(/ends after 1048581 bytes/) })
  })

  test('is removed before', async () => {
    const root = newDirectory()
    const storage = await openLocal(root)
    await storage.putIfAbsent('key', [content])
    const object = await storage.get('key')
    rmSync(join(root, 'key'))
    await expect(async () => {
      for await (const _ of object!.body);
    }).rejects.toMatchObject({ code: 'archive-io', reason: 'it was removed before it could be read' })
  })
})

test('a listing reads only the directories that can have keys after the one given', async () => {
  const root = newDirectory()
  const read: string[] = []
  const storage = await openLocal(
    root,
    spiedFileSystem(({ operation, path }) => {
      if (operation === 'readdir' || operation === 'lstat') read.push(path.slice(root.length + 1))
    }),
  )
  for (const key of ['a/1', 'b/x/1', 'b/y/1', 'b/y/2', 'b/y/3', 'c/1']) await storage.putIfAbsent(key, [content])
  read.length = 0
  const infos = await listWhole(storage.list('', { after: 'b/y/1' }))
  expect(infos.map(({ key }) => key)).toEqual(['b/y/2', 'b/y/3', 'c/1'])
  expect(read).toEqual(['', 'b/', 'b/y/', 'b/y/2', 'b/y/3', 'c/', 'c/1'])
})

test.skipIf(process.platform !== 'linux')('no call leaves a file open', async () => {
  const open = () => readdirSync('/proc/self/fd').length
  const root = newDirectory()
  const storage = await openLocal(root)
  await storage.putIfAbsent('main/key', [noise(3_000_000)])
  const before = open()
  const unread: unknown[] = []
  for (let round = 0; round < 30; round += 1) {
    await storage.putIfAbsent('main/key', [content])
    await storage.putIfAbsent(`main/${round}`, [content])
    unread.push(await storage.get('main/key'))
    for await (const _ of (await storage.get('main/key'))!.body) break
    for await (const _ of storage.list('')) break
    await listWhole(storage.list(''))
    await expect(storage.putIfAbsent('main/key/below', [content])).rejects.toThrow()
    await expect(storage.putIfAbsent('main/failing', failing())).rejects.toThrow('gone')
    const signal = AbortSignal.abort(new Error('too late'))
    await expect(storage.putIfAbsent('main/late', [content], { signal })).rejects.toThrow('too late')
    await storage.remove([`main/${round}`])
  }
  expect(unread).toHaveLength(30)
  expect(open()).toBe(before)
})

async function* failing(): AsyncGenerator<Uint8Array> {
  yield content
  throw new Error('gone')
}
