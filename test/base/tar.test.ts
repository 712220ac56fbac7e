import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { reasonNotPlain } from '../../src/base/byte-path.ts'
import { END_OF_ARCHIVE, formatHeader, headerChecksum, paddingOf, type TarMember } from '../../src/base/tar.ts'
import { TarReader } from '../../src/base/tar-reader.ts'
import { temporaryDirectory } from '../support/temporary.ts'

type Written = TarMember & { readonly content: Buffer }

const owner = { uid: 26, gid: 26 }

function tarOf(members: readonly Written[]): Buffer {
  return Buffer.concat([
    ...members.flatMap((member) => [
      formatHeader(member, owner),
      member.content,
      Buffer.alloc(paddingOf(member.content.length)),
    ]),
    END_OF_ARCHIVE,
  ])
}

function fileOf(name: string, content: Buffer | string = '', mode = 0o600): Written {
  const bytes = Buffer.from(content)
  return { kind: 'file', name, size: bytes.length, mode, mtime: 1_795_317_300, content: bytes }
}

function directoryOf(name: string, mode = 0o700): Written {
  return { kind: 'directory', name, size: 0, mode, mtime: 1_795_317_300, content: Buffer.alloc(0) }
}

/** Reads a tar in chunks of the given sizes, the last one repeated. */
function readTar(tar: Uint8Array, sizes: readonly number[] = [tar.length]): Written[] {
  const reader = new TarReader('test.tar')
  const members: Written[] = []
  let content: Buffer[] = []
  let position = 0
  for (let index = 0; position < tar.length; index++) {
    const size = Math.max(1, sizes[Math.min(index, sizes.length - 1)]!)
    for (const event of reader.push(tar.subarray(position, position + size))) {
      if (event.kind === 'member') members.push({ ...event.member, content: Buffer.alloc(0) })
      else if (event.kind === 'content') content.push(Buffer.from(event.bytes))
      else {
        members.push({ ...members.pop()!, content: Buffer.concat(content) })
        content = []
      }
    }
    position += size
  }
  reader.finish()
  return members
}

const component = fc
  .array(
    fc.integer({ min: 1, max: 255 }).filter((byte) => byte !== 0x2f),
    { minLength: 1, maxLength: 80 },
  )
  .map((bytes) => Buffer.from(bytes).toString('latin1'))
  .filter((name) => name !== '.' && name !== '..')
const pathOf = fc.array(component, { minLength: 1, maxLength: 5 }).map((components) => components.join('/'))
const member: fc.Arbitrary<Written> = fc.oneof(
  fc
    .record({ name: pathOf, content: fc.uint8Array({ maxLength: 2000 }), mode: fc.integer({ min: 0, max: 0o7777 }) })
    .map(({ name, content, mode }) => fileOf(name, Buffer.from(content), mode)),
  pathOf.map((name) => directoryOf(name)),
)

const sample = [
  directoryOf('base'),
  directoryOf('base/1', 0o750),
  fileOf('base/1/1259', Buffer.alloc(8192, 7), 0o640),
  fileOf('base/1/empty'),
  fileOf(`base/1/${'x'.repeat(100)}`, 'long'),
  directoryOf(`base/${'y'.repeat(120)}`),
  fileOf('base/1/exactly512', Buffer.alloc(512, 1)),
]

describe('tar', () => {
  test('what is written is read again, in chunks of any size', () => {
    fc.assert(
      fc.property(
        fc.array(member, { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 }),
        (members, sizes) => {
          expect(readTar(tarOf(members), sizes)).toEqual(members)
        },
      ),
    )
    expect(readTar(tarOf(sample), [1])).toEqual(sample)
  })

  test('a size of 8 GiB and more is read again', () => {
    const size = 9 * 1024 ** 3
    const header = formatHeader({ ...fileOf('base/1/16384'), size }, owner)
    const [event] = new TarReader('test.tar').push(header)
    expect(event).toMatchObject({ kind: 'member', member: { name: 'base/1/16384', size } })
  })

  test('stock tar lists a member of 9 GiB with its size', () => {
    const directory = temporaryDirectory()
    writeFileSync(join(directory, 'big.tar'), formatHeader({ ...fileOf('big'), size: 9 * 1024 ** 3 }, owner))
    const { stdout } = spawnSync('tar', ['-tvf', join(directory, 'big.tar')], { encoding: 'utf8' })
    expect(stdout).toMatch(/ 9663676416 .* big/)
  })

  test('stock tar extracts what is written, names, modes, times and content', () => {
    const directory = temporaryDirectory()
    writeFileSync(join(directory, 'sample.tar'), tarOf(sample))
    const out = join(directory, 'out')
    mkdirSync(out)
    expect(spawnSync('tar', ['-xf', '../sample.tar'], { cwd: out, encoding: 'utf8' })).toMatchObject({
      status: 0,
      stderr: '',
    })
    for (const { kind, name, content } of sample) {
      if (kind === 'file') expect(readFileSync(join(out, name)).equals(content), name).toBe(true)
    }
    const listed = spawnSync('tar', ['-tvf', join(directory, 'sample.tar'), '--full-time', '--utc'], {
      encoding: 'utf8',
    })
    expect(listed.stdout).toMatch(/^-rw-r----- 26\/26 +8192 2026-11-22 03:15:00 base\/1\/1259$/m)
    expect(listed.stdout).toMatch(/^drwxr-x--- 26\/26 +0 2026-11-22 03:15:00 base\/1\/$/m)
  })

  test('what stock tar writes in the same form is read', () => {
    const directory = temporaryDirectory()
    mkdirSync(join(directory, 'd/empty'), { recursive: true })
    writeFileSync(join(directory, 'd/file'), 'content', { mode: 0o600 })
    const { stdout } = spawnSync('tar', ['--format=ustar', '-cf', '-', 'd'], { cwd: directory })
    // Stock tar uses prefix and more padding; both are fine.
    const names = readTar(stdout, [777]).map(({ name }) => name)
    expect(names.sort()).toEqual(['d', 'd/empty', 'd/file'])
  })

  test('a tar cut anywhere is refused, and so is one that goes on', () => {
    const tar = tarOf([fileOf('a', 'content'), directoryOf('b'), fileOf('c'.repeat(120), 'x')])
    for (let length = 0; length < tar.length; length += 64) {
      expect(() => readTar(tar.subarray(0, length)), String(length)).toThrow(/could not read tar test.tar/)
    }
    expect(() => readTar(Buffer.concat([tar, tarOf([fileOf('d')])]))).toThrow('something follows')
  })

  test('any changed byte outside of the contents is noticed', () => {
    const tar = tarOf([fileOf('a', 'content'), directoryOf('b')])
    const content = new Set(Array.from({ length: 7 }, (_, index) => 512 + index))
    fc.assert(
      fc.property(fc.integer({ min: 0, max: tar.length - 1 }), fc.integer({ min: 1, max: 255 }), (position, change) => {
        fc.pre(!content.has(position))
        const damaged = Buffer.from(tar)
        damaged[position]! ^= change
        let read: Written[]
        try {
          read = readTar(damaged)
        } catch {
          return
        }
        // A checksum can be written in more than one way; its meaning is then unchanged.
        expect(read).toEqual(readTar(tar))
      }),
      { numRuns: 3000 },
    )
  })

  test.each([
    ['absolute', '/etc/passwd'],
    ['parent', '../escape'],
    ['hidden parent', 'base/../../escape'],
    ['dot', './base'],
    ['empty component', 'base//1'],
    ['only parent', '..'],
    ['NUL in an extended header', `base/${'x'.repeat(100)}\0y`],
    ['absolute in an extended header', `/${'x'.repeat(120)}`],
  ])('a hostile name is refused: %s', (_what, name) => {
    expect(reasonNotPlain(name)).toBeDefined()
    expect(() => readTar(tarOf([fileOf(name, 'x')]))).toThrow(/is refused/)
  })

  test('an empty name is refused', () => {
    expect(() => readTar(tarOf([fileOf('', 'x')]))).toThrow(/it is empty/)
  })

  test.each(['1', '2', '3', '4', '6', '7', 'L', 'K', 'S', 'g', '\0'])('members of type %j are refused', (type) => {
    const header = formatHeader(fileOf('a'), owner)
    header.write(type, 156, 'latin1')
    header.write(`${headerChecksum(header).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
    expect(() => readTar(Buffer.concat([header, END_OF_ARCHIVE]))).toThrow(/type/)
  })
})
