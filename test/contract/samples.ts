/** Bytes of every kind that compressors treat differently. */
import { createCipheriv, createHash } from 'node:crypto'

/** Bytes that do not compress, the same for the same seed. */
export function noise(size: number, seed = 'seed'): Buffer {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size))
}

/** Bytes that compress like text. */
export function text(size: number): Buffer {
  const lines: string[] = []
  for (let index = 0, length = 0; length < size; index += 1) {
    const line = `${index}: INSERT INTO accounts VALUES (${(index * 7919) % 100_003}, 'name ${index % 77}')\n`
    lines.push(line)
    length += line.length
  }
  return Buffer.from(lines.join('')).subarray(0, size)
}

export const samples: readonly { readonly name: string; readonly plain: Buffer }[] = [
  { name: 'nothing', plain: Buffer.alloc(0) },
  { name: 'one byte', plain: Buffer.from('x') },
  { name: '100 bytes of text', plain: text(100) },
  { name: '128 KiB of noise', plain: noise(128 * 1024) },
  { name: '128 KiB and a byte of noise', plain: noise(128 * 1024 + 1) },
  { name: '4 MiB of zeroes', plain: Buffer.alloc(4 * 1024 * 1024) },
  { name: '4 MiB of text', plain: text(4 * 1024 * 1024) },
  { name: '4 MiB of noise', plain: noise(4 * 1024 * 1024) },
]

/** A skippable frame (RFC 8878, 3.1.2); `variant` from 0 to 15. */
export function skippable(content: Uint8Array, variant = 13): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt32LE(0x184d2a50 + variant, 0)
  header.writeUInt32LE(content.length, 4)
  return Buffer.concat([header, content])
}
