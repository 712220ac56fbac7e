/** What `writer.ts` writes: bytes that tell their seed and their own length. */
import { noise } from '../contract/samples.ts'

export function contentOf(seed: string, size: number): Buffer {
  const head = Buffer.from(`${seed} ${size}\n`)
  return Buffer.concat([head, noise(size - head.length, seed)])
}

/** Whether the bytes are whole, whoever wrote them. */
export function isWhole(bytes: Buffer): boolean {
  const match = /^(\S+) (\d+)\n/.exec(bytes.subarray(0, 100).toString('latin1'))
  return match !== null && contentOf(match[1]!, Number(match[2])).equals(bytes)
}
