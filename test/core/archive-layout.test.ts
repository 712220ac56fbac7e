import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type ArchiveObject,
  backupId,
  ClusterLayout,
  isBackupId,
  isClusterName,
  isSystemIdentifier,
  startSegmentOf,
} from '../../src/core/archive-layout.ts'
import { parseWalFileName } from '../../src/core/wal-names.ts'

const layout = new ClusterLayout('main', '7312345678901234567')
const place = 'main/7312345678901234567'
const sha256 = 'ab'.repeat(32)
const id = '20261122T031500Z_000000010000000000000003'

describe('archive layout', () => {
  test.each([
    ['000000010000000000000003', `${place}/wal/0000000100000000/000000010000000000000003.zst`],
    [
      '000000010000000000000003.partial',
      `${place}/wal/0000000100000000/000000010000000000000003.partial.abababababababab.zst`,
    ],
    [
      '000000010000000000000003.00000028.backup',
      `${place}/wal/0000000100000000/000000010000000000000003.00000028.backup.zst`,
    ],
    ['00000002.history', `${place}/wal/history/00000002.history.zst`],
  ])('%s lies at its documented place, and is found again by it', (name, key) => {
    const file = parseWalFileName(name)!
    expect(layout.wal(file, sha256)).toBe(key)
    expect(layout.parse(key)).toEqual({ kind: 'wal', file })
  })

  test.each<[string, ArchiveObject]>([
    [`${place}/cluster.json`, { kind: 'cluster' }],
    [`${place}/base/${id}/part-00001.tar.zst`, { kind: 'base', id, member: { kind: 'part', number: 1 } }],
    [`${place}/base/${id}/backup_manifest.zst`, { kind: 'base', id, member: { kind: 'manifest' } }],
    [`${place}/base/${id}/files.jsonl.zst`, { kind: 'base', id, member: { kind: 'files' } }],
    [`${place}/base/${id}/backup.json`, { kind: 'base', id, member: { kind: 'record' } }],
  ])('%s is known', (key, object) => {
    expect(layout.parse(key)).toEqual(object)
  })

  test.each([
    'cluster.json',
    'main/1/cluster.json',
    `${place}/wal/0000000100000001/000000010000000000000003.zst`,
    `${place}/wal/history/000000010000000000000003.zst`,
    `${place}/wal/0000000100000000/00000002.history.zst`,
    `${place}/wal/0000000100000000/000000010000000000000003`,
    `${place}/wal/0000000100000000/000000010000000000000003.partial.zst`,
    `${place}/wal/0000000100000000/000000010000000000000003.zst.age`,
    `${place}/wal/0000000100000000/x/000000010000000000000003.zst`,
    `${place}/base/${id}/other`,
    `${place}/base/yesterday/backup.json`,
    `${place}/base/${id}_D_000000010000000000000002/backup.json`,
    `${place}/notes.txt`,
  ])('%s is not, and is therefore left alone', (key) => {
    expect(layout.parse(key)).toBeUndefined()
  })

  test('a backup is named by when and where in WAL it began', () => {
    const made = backupId(new Date('2026-11-22T03:15:00.999Z'), '000000010000000000000003')
    expect(made).toBe(id)
    expect(isBackupId(made)).toBe(true)
    expect(startSegmentOf(made)).toBe('000000010000000000000003')
  })

  test('names that could lead out of their directory are none', () => {
    for (const name of ['', '.', '..', '../x', 'a/b', '-x', '.hidden', 'a b', 'ä', 'a'.repeat(101)]) {
      expect(isClusterName(name)).toBe(false)
      expect(() => new ClusterLayout(name, '1')).toThrow()
    }
    for (const identifier of ['', '0', '01', '-1', '1.5', '18446744073709551616', '1/2', 'x']) {
      expect(isSystemIdentifier(identifier)).toBe(false)
    }
    expect(isSystemIdentifier('18446744073709551615')).toBe(true)
  })

  test('no key of any length or content breaks the parser', () => {
    fc.assert(fc.property(fc.string(), (text) => void layout.parse(`${place}/${text}`)))
  })
})
