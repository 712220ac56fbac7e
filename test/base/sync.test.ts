import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { bytePathOf } from '../../src/base/byte-path.ts'
import { syncTree } from '../../src/base/sync.ts'
import { temporaryDirectory } from '../support/temporary.ts'

function tree(files: number): string {
  const directory = temporaryDirectory()
  mkdirSync(join(directory, 'deep/er'), { recursive: true })
  for (let index = 0; index < files; index++) writeFileSync(join(directory, 'deep/er', String(index)), 'x')
  symlinkSync('/nowhere', join(directory, 'link'))
  return directory
}

test('each file and directory is progress', async () => {
  let progress = 0
  const progressed = () => {
    progress += 1
  }
  await syncTree(bytePathOf(tree(100)), { signal: new AbortController().signal, progressed })
  expect(progress).toBe(100 + 3)
})

test('an interruption is heard between two files', async () => {
  const interruption = new AbortController()
  let progress = 0
  const progressed = () => {
    progress += 1
    if (progress === 5) interruption.abort(new Error('interrupted by SIGTERM'))
  }
  const synced = syncTree(bytePathOf(tree(200)), { signal: interruption.signal, progressed })
  await expect(synced).rejects.toThrow('interrupted by SIGTERM')
  expect(progress).toBeLessThan(50)
})

test('a directory that cannot be listed is named', async () => {
  const options = { signal: new AbortController().signal, progressed: () => {} }
  await expect(syncTree('/nowhere/at/all', options)).rejects.toMatchObject({
    code: 'local-io',
    object: '/nowhere/at/all',
  })
})
