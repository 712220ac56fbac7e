import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { fsyncDirectory, isTemporaryName, temporaryName, writeFileDurably } from '../../src/core/durable-file.ts'

const directory = mkdtempSync(join(tmpdir(), 'seawall-durable-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test('a file gets its content and permissions, and nothing else is left', async () => {
  const path = join(directory, 'file')
  await writeFileDurably(path, 'first', 0o600)
  expect(readFileSync(path, 'utf8')).toBe('first')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  await writeFileDurably(path, Buffer.from('second'), 0o640)
  expect(readFileSync(path, 'utf8')).toBe('second')
  expect(statSync(path).mode & 0o777).toBe(0o640)
  expect(readdirSync(directory)).toEqual(['file'])
})

test('a failure leaves what was there, and no temporary file', async () => {
  const target = join(directory, 'taken')
  mkdirSync(target)
  writeFileSync(join(target, 'inside'), '')
  await expect(writeFileDurably(target, 'x', 0o600)).rejects.toMatchObject({ code: 'EISDIR' })
  await expect(writeFileDurably(join(directory, 'not', 'there'), 'x', 0o600)).rejects.toMatchObject({ code: 'ENOENT' })
  expect(readdirSync(target)).toEqual(['inside'])
  expect(readdirSync(directory).some(isTemporaryName)).toBe(false)
})

test('a directory is synced; what is none is an error', async () => {
  await fsyncDirectory(directory)
  await expect(fsyncDirectory(join(directory, 'nothing'))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('temporary names are told from all others', () => {
  expect(isTemporaryName(temporaryName('key'))).toBe(true)
  expect(isTemporaryName(temporaryName('/some/path.zst'))).toBe(true)
  expect(temporaryName('key')).not.toBe(temporaryName('key'))
  for (const name of [
    'key',
    'key.tmp',
    '.0123456789abcdef.tmp',
    'key.0123456789abcdeF.tmp',
    'key.0123456789abcdef.tmp.x',
  ]) {
    expect(isTemporaryName(name)).toBe(false)
  }
})
