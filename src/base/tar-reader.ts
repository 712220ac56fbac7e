/**
 * Reads a tar as a stream, strictly: what `tar.ts` can have written, and nothing else. An archive is not trusted, so a
 * name that could lead out of a directory is an error here already.
 */
import { SeawallError } from '../core/errors.ts'
import { type BytePath, display, reasonNotPlain } from './byte-path.ts'
import { BLOCK_SIZE, headerChecksum, paddingOf, type TarMember } from './tar.ts'

export type TarEvent =
  | { readonly kind: 'member'; readonly member: TarMember }
  /** Some of the content of the last member. The bytes are a view of what was pushed. */
  | { readonly kind: 'content'; readonly bytes: Uint8Array }
  /** All of the content of the last member has come (also for one without content). */
  | { readonly kind: 'end' }

const maxPaxSize = 64 * 1024

type State = 'header' | 'pax' | 'content' | 'padding' | 'end-of-archive'

export class TarReader {
  readonly #object: string
  #state: State = 'header'
  /** Collects a header block or a pax body until it is whole. */
  #collected: Buffer = Buffer.alloc(0)
  /** Bytes that are still to come of what the state names. */
  #remaining = BLOCK_SIZE
  /** Padding that follows the content or the pax body. */
  #padding = 0
  #pax: { path?: BytePath; size?: number } | undefined
  #zeroBlocks = 0

  /** @param object names the tar in errors. */
  constructor(object: string) {
    this.#object = object
  }

  /** Takes the next bytes, of any number. @throws SeawallError `corrupt` */
  push(bytes: Uint8Array): TarEvent[] {
    const events: TarEvent[] = []
    let rest = bytes
    while (rest.length > 0) {
      const taken = rest.subarray(0, Math.min(rest.length, this.#remaining))
      rest = rest.subarray(taken.length)
      this.#remaining -= taken.length
      if (this.#state === 'content') events.push({ kind: 'content', bytes: taken })
      else if (this.#state === 'padding') this.#checkZero(taken, 'the padding of a member')
      else this.#collected = this.#collected.length === 0 ? Buffer.from(taken) : Buffer.concat([this.#collected, taken])
      if (this.#remaining === 0) this.#advance(events)
    }
    return events
  }

  /** Says that the tar has ended. @throws SeawallError `corrupt` unless it ended as a tar does. */
  finish(): void {
    if (this.#state !== 'end-of-archive') this.#fail('it ends before its end-of-archive blocks')
    if (this.#collected.length > 0) this.#fail('it does not end at a block boundary')
  }

  #advance(events: TarEvent[]): void {
    const collected = this.#collected
    this.#collected = Buffer.alloc(0)
    if (this.#state === 'header' || this.#state === 'end-of-archive') this.#readBlock(collected, events)
    else if (this.#state === 'padding') this.#enter('header', BLOCK_SIZE)
    else {
      if (this.#state === 'pax') this.#pax = this.#parsePax(collected)
      else events.push({ kind: 'end' })
      this.#enter(this.#padding === 0 ? 'header' : 'padding', this.#padding)
    }
  }

  #enter(state: State, remaining: number): void {
    this.#state = state
    this.#remaining = state === 'header' ? BLOCK_SIZE : remaining
  }

  #readBlock(block: Buffer, events: TarEvent[]): void {
    if (block.every((byte) => byte === 0)) {
      if (this.#pax) this.#fail('an extended header is not followed by a member')
      this.#zeroBlocks++
      this.#enter(this.#zeroBlocks >= 2 ? 'end-of-archive' : 'header', BLOCK_SIZE)
      return
    }
    if (this.#zeroBlocks > 0) this.#fail('something follows its end-of-archive blocks')
    if (this.#octal(block, 148, 8) !== headerChecksum(block)) this.#fail('the checksum of a header does not match')
    if (block.toString('latin1', 257, 265) !== 'ustar\x0000') this.#fail('a header is not of the ustar format')
    const type = String.fromCharCode(block[156]!)
    const size = this.#octal(block, 124, 12)
    if (type === 'x') {
      if (this.#pax) this.#fail('two extended headers stand in a row')
      if (size === 0 || size > maxPaxSize) this.#fail(`an extended header has ${size} bytes`)
      this.#padding = paddingOf(size)
      this.#enter('pax', size)
      return
    }
    if (type !== '0' && type !== '5') this.#fail(`a member has type ${JSON.stringify(type)}, which no backup holds`)
    const member = this.#memberOf(block, type, this.#pax?.size ?? size)
    this.#pax = undefined
    events.push({ kind: 'member', member })
    this.#padding = paddingOf(member.size)
    if (member.size > 0) {
      this.#enter('content', member.size)
    } else {
      events.push({ kind: 'end' })
      this.#enter('header', BLOCK_SIZE)
    }
  }

  #memberOf(block: Buffer, type: '0' | '5', size: number): TarMember {
    const stored = this.#pax?.path ?? joinPrefix(cString(block, 345, 155), cString(block, 0, 100))
    const name = type === '5' ? stored.replace(/\/$/, '') : stored
    const reason = reasonNotPlain(name)
    if (reason)
      this.#fail(`the name of a member, ${JSON.stringify(display(name).slice(0, 200))}, is refused: ${reason}`)
    if (type === '5' && size !== 0) this.#fail('a directory has content')
    const mode = this.#octal(block, 100, 8)
    if (mode > 0o7777) this.#fail('a member has an impossible mode')
    return { kind: type === '0' ? 'file' : 'directory', name, size, mode, mtime: this.#octal(block, 136, 12) }
  }

  #parsePax(body: Buffer): { path?: BytePath; size?: number } {
    const result: { path?: BytePath; size?: number } = {}
    for (let position = 0; position < body.length; ) {
      const digits = /^([1-9]\d{0,5}) /.exec(body.toString('latin1', position, position + 7))?.[1]
      const end = position + Number(digits)
      const record = digits && end <= body.length ? body.toString('latin1', position + digits.length + 1, end) : ''
      const match = /^(path|size)=([^\n][\s\S]*)\n$/.exec(record)
      if (!match) this.#fail('an extended header has a record that no backup holds')
      const [, key, value] = match as unknown as [string, string, string]
      if (key === 'path') result.path = value
      else if (/^\d{1,16}$/.test(value) && Number.isSafeInteger(Number(value))) result.size = Number(value)
      else this.#fail('an extended header has an impossible size')
      position = end
    }
    return result
  }

  /** A number of octal digits, ended by NUL or space or the end of the field. */
  #octal(block: Buffer, offset: number, length: number): number {
    const match = /^([0-7]+)[\0 ]*$/.exec(block.toString('latin1', offset, offset + length))
    if (!match) this.#fail('a number in a header is not octal')
    return Number.parseInt(match![1]!, 8)
  }

  #checkZero(bytes: Uint8Array, what: string): void {
    if (!bytes.every((byte) => byte === 0)) this.#fail(`${what} is not zero`)
  }

  #fail(reason: string): never {
    throw new SeawallError('corrupt', {
      operation: 'read tar',
      object: this.#object,
      reason,
      hint: 'The part is damaged or was not written by this program. Restore it from a copy of the archive, or use another backup.',
    })
  }
}

function cString(block: Buffer, offset: number, length: number): BytePath {
  return block.toString('latin1', offset, offset + length).replace(/\0[\s\S]*$/, '')
}

function joinPrefix(prefix: BytePath, name: BytePath): BytePath {
  return prefix === '' ? name : `${prefix}/${name}`
}
