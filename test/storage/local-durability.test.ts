import { linkSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isTemporaryName } from '../../src/core/durable-file.ts'
import { SeawallError } from '../../src/core/errors.ts'
import { openLocal } from '../../src/storage/local.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { noise } from '../contract/samples.ts'
import { listWhole, readWhole } from '../contract/storage.ts'
import { type Call, spiedFileSystem, systemError } from './spied-file-system.ts'
import { temporaryDirectories } from './temporary-archive.ts'

const newDirectory = temporaryDirectories()
const content = noise(3000)

async function failureOf(promise: Promise<unknown>): Promise<SeawallError> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(error).toBeInstanceOf(SeawallError)
  return error as SeawallError
}

/** A storage whose calls are recorded, without the looks at the root. */
async function recorded(root: string): Promise<{ storage: Storage; calls: Call[] }> {
  const calls: Call[] = []
  const storage = await openLocal(
    root,
    spiedFileSystem((call) => {
      if (call.operation !== 'stat') calls.push(call)
    }),
  )
  return { storage, calls }
}

describe('the order of writing', () => {
  const syncs = (calls: readonly Call[]) =>
    calls.filter(({ operation }) => operation === 'sync').map(({ path }) => path)

  test('the file is synced before it gets its name, and every directory up to the root after', async () => {
    const root = newDirectory()
    const { storage, calls } = await recorded(root)
    await storage.putIfAbsent('main/1/wal/key', [content])
    const steps = calls.map(({ operation, path }) => `${operation} ${isTemporaryName(path) ? 'temporary' : path}`)
    const link = steps.indexOf(`link ${join(root, 'main/1/wal/key')}`)
    expect(link).toBeGreaterThan(0)
    const before = steps.slice(0, link)
    expect(before.slice(-5)).toEqual([
      'open temporary',
      'write temporary',
      'sync temporary',
      'fstat temporary',
      'close temporary',
    ])
    const synced = syncs(calls.slice(link))
    expect(synced.sort()).toEqual([root, ...['main', 'main/1', 'main/1/wal'].map((key) => join(root, key))])
    expect(steps.indexOf('unlink temporary')).toBeGreaterThan(link)
  })

  test('they are synced also when the name was taken, and so is the file that has it', async () => {
    const root = newDirectory()
    mkdirSync(join(root, 'main'))
    writeFileSync(join(root, 'main/key'), 'published by somebody who died before syncing')
    const { storage, calls } = await recorded(root)
    expect(await storage.putIfAbsent('main/key', [content])).toBe('exists')
    const link = calls.findIndex(({ operation }) => operation === 'link')
    expect(syncs(calls.slice(link)).sort()).toEqual([root, join(root, 'main'), join(root, 'main/key')])
  })

  test('a large object is brought to the disk on the way', async () => {
    const { storage, calls } = await recorded(newDirectory())
    async function* stream() {
      const chunk = Buffer.alloc(8 * 1024 * 1024)
      for (let index = 0; index < 17; index += 1) yield chunk
    }
    await storage.putIfAbsent('key', stream())
    expect(calls.filter(({ operation }) => operation === 'datasync')).toHaveLength(2)
  })

  test('removal is synced where it happened, and where empty directories were', async () => {
    const root = newDirectory()
    const { storage, calls } = await recorded(root)
    for (const key of ['a/b/c/1', 'a/b/c/2', 'a/x', 'd/1', 'd/2']) await storage.putIfAbsent(key, [content])
    calls.length = 0
    await storage.remove(['a/b/c/1', 'd/1', 'a/b/c/2'])
    const steps = calls.map(({ operation, path }) => `${operation} ${path.slice(root.length + 1)}`)
    expect(steps.slice(0, 3)).toEqual(['unlink a/b/c/1', 'unlink d/1', 'unlink a/b/c/2'])
    expect(syncs(calls).sort()).toEqual([join(root, 'a'), join(root, 'd')])
    expect(readdirSync(join(root, 'a'))).toEqual(['x'])
    await storage.remove(['a/x', 'd/2'])
    expect(readdirSync(root)).toEqual([])
  })
})

describe('whatever fails', () => {
  const key = 'main/1/key'

  for (const code of ['EIO', 'ENOSPC', 'EACCES']) {
    test(`the nth call while writing fails with ${code}: nothing partial, and the next attempt is right`, async () => {
      let isThrough = false
      for (let failing = 1; !isThrough; failing += 1) {
        const root = newDirectory()
        let count = 0
        let isArmed = false
        const storage = await openLocal(
          root,
          spiedFileSystem(() => {
            if (!isArmed) return
            count += 1
            if (count === failing) throw systemError(code)
          }),
        )
        isArmed = true
        const error = await storage.putIfAbsent(key, [content.subarray(0, 1000), content.subarray(1000)]).then(
          () => undefined,
          (error: unknown) => error,
        )
        isArmed = false
        isThrough = count < failing
        if (isThrough) {
          expect(error).toBeUndefined()
          expect(failing).toBeGreaterThan(20)
        } else {
          expect(error).toMatchObject({ code: 'archive-io', transient: code !== 'EACCES' })
        }
        const seen = await listWhole(storage.list(''))
        for (const info of seen) expect(info).toMatchObject({ key, size: content.length })
        await storage.putIfAbsent(key, [content])
        expect(await readWhole(storage, key)).toEqual(content)
        expect(await storage.removeAbandoned('', new Date(Date.now() + 60_000))).toBeLessThanOrEqual(1)
      }
    })
  }

  test('the nth call while reading, listing or removing fails: an error, never an absence', async () => {
    const operations: Record<string, (storage: Storage) => Promise<unknown>> = {
      head: (storage) => storage.head(key),
      'head of what is not there': (storage) => storage.head('main/1/not'),
      get: (storage) => readWhole(storage, key),
      list: (storage) => listWhole(storage.list('')),
      listDirectories: (storage) => storage.listDirectories('main/'),
      remove: (storage) => storage.remove([key, 'main/2/other']),
      removeAbandoned: (storage) => storage.removeAbandoned('', new Date(Date.now() + 60_000)),
    }
    for (const [name, operation] of Object.entries(operations)) {
      let isThrough = false
      for (let failing = 1; !isThrough; failing += 1) {
        const root = newDirectory()
        let count = 0
        let isArmed = false
        const storage = await openLocal(
          root,
          spiedFileSystem(() => {
            if (!isArmed) return
            count += 1
            if (count === failing) throw systemError('EIO')
          }),
        )
        await storage.putIfAbsent(key, [content])
        await storage.putIfAbsent('main/2/other', [content])
        writeFileSync(join(root, `main/key.${'0'.repeat(16)}.tmp`), 'x')
        isArmed = true
        const failure = await operation(storage).then(
          () => undefined,
          (error: unknown) => error,
        )
        isThrough = count < failing
        if (isThrough) {
          expect(failure).toBeUndefined()
          expect(failing, name).toBeGreaterThan(1)
        } else {
          expect(failure, `${name}, call ${failing}`).toBeDefined()
        }
      }
    }
  })

  test('the temporary file is removed; if that fails too, both errors are told', async () => {
    const root = newDirectory()
    let failingUnlink = false
    const storage = await openLocal(
      root,
      spiedFileSystem(({ operation }) => {
        if (operation === 'sync') throw systemError('EIO')
        if (operation === 'unlink' && failingUnlink) throw systemError('EROFS')
      }),
    )
    const error = await failureOf(storage.putIfAbsent('key', [content]))
    expect(error).toMatchObject({ operation: 'sync', reason: 'input/output error', transient: true })
    expect(readdirSync(root)).toEqual([])
    failingUnlink = true
    const both = await failureOf(storage.putIfAbsent('key', [content]))
    expect(both).toMatchObject({ operation: 'sync', reason: 'input/output error', transient: true })
    expect(both.detail).toMatch(/^and then the file system is read-only/)
    expect(readdirSync(root).map(isTemporaryName)).toEqual([true])
  })

  const cases = [
    ['ENOSPC', 'write', /no space left/, /wal-prune/, true],
    ['EDQUOT', 'write', /quota/, /quota/, true],
    ['EROFS', 'open', /read-only/, /mount options/, false],
    ['EACCES', 'mkdir', /permission denied/, /owner and mode/, false],
    ['EIO', 'sync', /input\/output/, /kernel log/, true],
    ['ENAMETOOLONG', 'open', /too long/, /shorter/, false],
    ['ESTALE', 'sync', /stale/, /network/, true],
    ['EMFILE', 'open', /open files/, /short of resources/, true],
    ['EWHATEVER', 'write', /EWHATEVER: injected/, /kernel log/, false],
  ] as const
  for (const [code, failing, reason, hint, transient] of cases) {
    test(`${code} is explained`, async () => {
      const storage = await openLocal(
        newDirectory(),
        spiedFileSystem(({ operation, path }) => {
          if (operation === failing && path.includes('/main')) throw systemError(code)
        }),
      )
      const error = await failureOf(storage.putIfAbsent('main/key', [content]))
      expect(error.code).toBe('archive-io')
      expect(error.reason).toMatch(reason)
      expect(error.hint).toMatch(hint)
      expect(error.transient).toBe(transient)
    })
  }

  for (const code of ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']) {
    test(`link(2) says ${code}: refused by name, and nothing is written in its place`, async () => {
      const root = newDirectory()
      const storage = await openLocal(
        root,
        spiedFileSystem(({ operation }) => {
          if (operation === 'link') throw systemError(code)
        }),
      )
      const error = await failureOf(storage.putIfAbsent('key', [content]))
      expect(error).toMatchObject({ code: 'archive-io', transient: false })
      expect(error.reason).toContain(`no hard links (link(2) says ${code})`)
      expect(error.hint).toMatch(/ext4/)
      expect(readdirSync(root)).toEqual([])
    })
  }

  test('a link whose answer got lost was made by us', async () => {
    const root = newDirectory()
    const storage = await openLocal(
      root,
      spiedFileSystem(({ operation, path }) => {
        if (operation !== 'link') return
        const temporary = readdirSync(root).find(isTemporaryName)!
        linkSync(join(root, temporary), path)
      }),
    )
    expect(await storage.putIfAbsent('key', [content])).toBe('created')
    expect(readdirSync(root)).toEqual(['key'])
  })

  test('a write that stores less than it says is found out', async () => {
    const root = newDirectory()
    const storage = await openLocal(
      root,
      spiedFileSystem(({ operation, path }) => {
        if (operation === 'sync' && isTemporaryName(path)) writeFileSync(path, readFileSync(path).subarray(1))
      }),
    )
    const error = await failureOf(storage.putIfAbsent('key', [content]))
    expect(error.reason).toBe('it has 2999 bytes after 3000 were written')
    expect(readdirSync(root)).toEqual([])
  })

  test('the stream is not asked for more after a failed write', async () => {
    let asked = 0
    let isEnded = false
    async function* stream() {
      try {
        for (;;) {
          asked += 1
          yield content
        }
      } finally {
        isEnded = true
      }
    }
    const storage = await openLocal(
      newDirectory(),
      spiedFileSystem(({ operation }) => {
        if (operation === 'write') throw systemError('ENOSPC')
      }),
    )
    expect((await failureOf(storage.putIfAbsent('key', stream()))).reason).toMatch(/no space/)
    expect({ asked, isEnded }).toEqual({ asked: 1, isEnded: true })
  })
})
