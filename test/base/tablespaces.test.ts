import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { absoluteTablespaceMap, formatTablespaceMap, parseTablespaceMap } from '../../src/base/tablespace-map.ts'
import { areApart, mapTablespaces } from '../../src/base/tablespaces.ts'

const two = [
  { oid: 16384, location: '/fast/one' },
  { oid: 16385, location: '/slow/two' },
]

describe('--tablespace', () => {
  test('maps by old location; the others stay where they were', () => {
    expect(mapTablespaces(two, ['/fast/one=/new/one'], '/data').map(({ directory }) => directory)).toEqual([
      '/new/one',
      '/slow/two',
    ])
    expect(mapTablespaces(two, ['/fast/one/=/new//one/'], '/data')[0]!.directory).toBe('/new/one')
    const odd = [{ oid: 1, location: '/with=sign' }]
    expect(mapTablespaces(odd, ['/with\\=sign=/a\\=b'], '/data')[0]!.directory).toBe('/a=b')
  })

  test.each([
    ['no such tablespace', ['/other=/new'], /no tablespace at \/other/],
    ['twice', ['/fast/one=/a', '/fast/one=/b'], /mapped twice/],
    ['relative', ['/fast/one=new'], /absolute/],
    ['no equals sign', ['/fast/one'], /OLD=NEW/],
    ['empty', ['/fast/one='], /OLD=NEW/],
    ['the same directory', ['/fast/one=/slow/two'], /are the same or lie in one another/],
    ['nested', ['/fast/one=/slow/two/one'], /are the same or lie in one another/],
    ['around another', ['/fast/one=/slow'], /are the same or lie in one another/],
    ['in the data directory', ['/fast/one=/data/one'], /are the same or lie in one another/],
    ['around the data directory', ['/fast/one=/'], /are the same or lie in one another/],
  ])('refuses %s', (_what, mappings, message) => {
    expect(() => mapTablespaces(two, mappings, '/data')).toThrow(message)
  })

  test('a name that only begins like another is apart from it', () => {
    expect(areApart('/data', '/data2')).toBe(true)
    expect(areApart('/data', '/data/2')).toBe(false)
  })
})

test('a tablespace_map is read as it was written', () => {
  const location = fc.string({ minLength: 1 }).map((text) => `/${text}`)
  const tablespace = fc.record({ oid: fc.integer({ min: 1, max: 2 ** 32 - 1 }), location })
  fc.assert(
    fc.property(fc.array(tablespace), (tablespaces) => {
      expect(parseTablespaceMap(formatTablespaceMap(tablespaces))).toEqual(tablespaces)
    }),
  )
  expect(parseTablespaceMap('16384 /a\n16385 /b\\\nc\\\\\n')).toEqual([
    { oid: 16384, location: '/a' },
    { oid: 16385, location: '/b\nc\\' },
  ])
})

test('a tablespace_map with relative locations is made absolute, any other is left as it is', () => {
  expect(absoluteTablespaceMap('16384 ../../ts\n16385 /slow/two\n', '/data/pg_tblspc')).toBe(
    '16384 /ts\n16385 /slow/two\n',
  )
  const odd = '16384 /fast\\\none\n'
  expect(absoluteTablespaceMap(odd, '/data/pg_tblspc')).toBe(odd)
})
