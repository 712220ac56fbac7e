/**
 * A process of its own that creates objects: `writer.ts <root> <seed> <size>`, once for each line that it reads,
 * which names the key; prints the outcome. The content tells who wrote it, and is slow to come.
 */
import { createInterface } from 'node:readline'
import { openLocal } from '../../src/storage/local.ts'
import { contentOf } from './writer-content.ts'

const [root, seed, size] = process.argv.slice(2) as [string, string, string]
const storage = await openLocal(root)
process.stdout.write('ready\n')
for await (const key of createInterface({ input: process.stdin })) {
  const bytes = contentOf(seed, Number(size))
  async function* chunks() {
    for (let start = 0; start < bytes.length; start += 65_536) yield bytes.subarray(start, start + 65_536)
  }
  process.stdout.write(`${await storage.putIfAbsent(key, chunks())}\n`)
}
