/** Many processes at one archive, some of which die on the way. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, expect, test } from 'vitest'
import { openLocal } from '../../src/storage/local.ts'
import { listWhole, readWhole } from '../contract/storage.ts'
import { temporaryDirectories } from './temporary-archive.ts'
import { contentOf, isWhole } from './writer-content.ts'

const newDirectory = temporaryDirectories()
const children = new Set<ChildProcess>()

afterEach(async () => {
  for (const child of children) await kill(child)
})

interface Writer {
  readonly child: ChildProcess
  /** Asks for an object, and gives back what putIfAbsent said. */
  readonly put: (key: string) => Promise<string>
  readonly ask: (key: string) => void
}

async function startWriter(root: string, seed: string, size: number): Promise<Writer> {
  const program = join(import.meta.dirname, 'writer.ts')
  const child = spawn(process.execPath, [program, root, seed, String(size)], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.add(child)
  child.stdin.on('error', () => {})
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  expect((await lines.next()).value).toBe('ready')
  const ask = (key: string) => void child.stdin.write(`${key}\n`)
  return {
    child,
    ask,
    put: async (key) => {
      ask(key)
      return (await lines.next()).value ?? 'died'
    },
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  children.delete(child)
}

test('eight processes race for a key: exactly one creates it, and it is whole', async () => {
  const root = newDirectory()
  const size = 700_000
  const writers = await Promise.all(Array.from({ length: 8 }, (_, index) => startWriter(root, `w${index}`, size)))
  const storage = await openLocal(root)
  const winners = new Set<number>()
  for (let round = 0; round < 25; round += 1) {
    const key = `main/${round}/key`
    const outcomes = await Promise.all(writers.map((writer) => writer.put(key)))
    expect([...outcomes].sort()).toEqual(['created', ...Array(7).fill('exists')])
    const winner = outcomes.indexOf('created')
    winners.add(winner)
    expect((await readWhole(storage, key))?.equals(contentOf(`w${winner}`, size))).toBe(true)
  }
  expect(winners.size).toBeGreaterThan(1)
  expect(await storage.removeAbandoned('', new Date(Date.now() + 60_000))).toBe(0)
})

test('whoever is killed on the way leaves a whole object or none, and the next one succeeds', async () => {
  const seed = Date.now() % 1_000_000
  process.stdout.write(`seed of the moments of death: ${seed}\n`)
  const random = randomNumbers(seed)
  const root = newDirectory()
  const storage = await openLocal(root)
  const size = 6_000_000
  let unfinished = 0
  for (let round = 0; round < 30; round += 1) {
    const key = `main/${round}/key`
    const writer = await startWriter(root, `round${round}`, size)
    writer.ask(key)
    const deadline = performance.now() + random() * 60
    while (performance.now() < deadline) {
      for (const info of await listWhole(storage.list(''))) expect(info.size).toBe(size)
    }
    await kill(writer.child)
    const left = await readWhole(storage, key)
    if (left === undefined) unfinished += 1
    else expect(isWhole(left)).toBe(true)
    expect(await storage.putIfAbsent(key, [contentOf('next', size)])).toBe(left === undefined ? 'created' : 'exists')
    expect(isWhole((await readWhole(storage, key))!)).toBe(true)
  }
  expect(unfinished).toBeGreaterThan(0)
  await storage.removeAbandoned('', new Date(Date.now() + 60_000))
  for (let round = 0; round < 30; round += 1) expect(readdirSync(join(root, 'main', String(round)))).toEqual(['key'])
})

/** The same numbers from 0 to 1 for the same seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
