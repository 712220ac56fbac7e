/** Tar headers as POSIX describes them (ustar, with pax records for what does not fit), for files and directories. */
import type { BytePath } from './byte-path.ts'

export const BLOCK_SIZE = 512
/** A tar ends with at least two blocks of zeroes. */
export const END_OF_ARCHIVE = new Uint8Array(2 * BLOCK_SIZE)

/** The largest number that fits into the 11 octal digits of a size or a time. */
export const MAX_OCTAL_11 = 0o77777777777
const maxOctal7 = 0o7777777
const maxNameLength = 100

export interface TarMember {
  readonly kind: 'file' | 'directory'
  /** Relative, without a slash at its end. */
  readonly name: BytePath
  /** Bytes; 0 for a directory. */
  readonly size: number
  /** Permission bits, up to 07777. */
  readonly mode: number
  /** Seconds since 1970, not negative. */
  readonly mtime: number
}

export interface TarOwner {
  readonly uid: number
  readonly gid: number
}

/** The blocks that precede the content of a member. Ids that do not fit are written as 0. */
export function formatHeader(member: TarMember, owner: TarOwner): Buffer {
  const name = member.kind === 'directory' ? `${member.name}/` : member.name
  const records: [string, string][] = []
  if (name.length > maxNameLength) records.push(['path', name])
  if (member.size > MAX_OCTAL_11) records.push(['size', String(member.size)])
  const header = formatBlock(member, owner, name.slice(0, maxNameLength), member.kind === 'file' ? '0' : '5')
  if (records.length === 0) return header
  const body = Buffer.from(records.map(([key, value]) => formatPaxRecord(key, value)).join(''), 'latin1')
  const pax: TarMember = { kind: 'file', name: '', size: body.length, mode: 0o600, mtime: member.mtime }
  return Buffer.concat([
    formatBlock(pax, { uid: 0, gid: 0 }, 'PaxHeader', 'x'),
    body,
    Buffer.alloc(paddingOf(body.length)),
    header,
  ])
}

/** How many zeroes follow a content of so many bytes. */
export function paddingOf(size: number): number {
  return (BLOCK_SIZE - (size % BLOCK_SIZE)) % BLOCK_SIZE
}

/** The checksum of a header block: the sum of its bytes, those of the checksum itself taken as spaces. */
export function headerChecksum(block: Uint8Array): number {
  let sum = 0
  for (let index = 0; index < BLOCK_SIZE; index++) sum += index >= 148 && index < 156 ? 0x20 : block[index]!
  return sum
}

function formatBlock(member: TarMember, owner: TarOwner, name: string, type: '0' | '5' | 'x'): Buffer {
  const block = Buffer.alloc(BLOCK_SIZE)
  const octal = (value: number, offset: number, digits: number) =>
    block.write(value.toString(8).padStart(digits, '0'), offset, 'latin1')
  block.write(name, 0, 'latin1')
  octal(member.mode, 100, 7)
  octal(owner.uid > maxOctal7 ? 0 : owner.uid, 108, 7)
  octal(owner.gid > maxOctal7 ? 0 : owner.gid, 116, 7)
  octal(member.size > MAX_OCTAL_11 ? 0 : member.size, 124, 11)
  octal(member.mtime, 136, 11)
  block.write(type, 156, 'latin1')
  block.write('ustar\x0000', 257, 'latin1')
  octal(headerChecksum(block), 148, 6)
  block.write('\0 ', 154, 'latin1')
  return block
}

/** `<length> <key>=<value>\n`, where the length counts itself. */
function formatPaxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  let length = rest.length + 1
  while (String(length).length + rest.length !== length) length++
  return `${length}${rest}`
}
