import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { processesUsing } from '../support/processes.ts'
import { asServersUser, serversUser } from '../support/servers-user.ts'
import { onCleanUp, temporaryDirectory } from '../support/temporary.ts'

const program = join(import.meta.dirname, '../../scripts/demo.ts')

interface Ending {
  readonly code: number | null
  readonly output: string
  /** What is left of the temporary directory, and of processes that used it. */
  readonly left: readonly string[]
}

/** Runs the demo to its end, or until its output matches and it is told to end. */
async function runDemo(options: { asServersUser?: boolean; until?: RegExp; signal?: NodeJS.Signals }): Promise<Ending> {
  const place = temporaryDirectory()
  const child = spawn(process.execPath, [program], {
    cwd: '/',
    env: { PATH: process.env.PATH, TMPDIR: place },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.asServersUser ? asServersUser() : {}),
  })
  onCleanUp(() => {
    child.kill('SIGKILL')
  })
  let output = ''
  let told = false
  const read = (chunk: Buffer) => {
    output += chunk
    if (told || !options.until?.test(output)) return
    told = true
    child.kill(options.signal ?? 'SIGINT')
  }
  child.stdout.on('data', read)
  child.stderr.on('data', read)
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  const left = [...readdirSync(place), ...processesUsing(place).map(({ command }) => command)]
  return { code, output, left }
}

describe('the demo', () => {
  test.each([
    { user: 'the user who runs the tests', asServersUser: false },
    ...(serversUser().change ? [{ user: 'an ordinary user', asServersUser: true }] : []),
  ])('brings every row back, and leaves nothing behind, as $user', async ({ asServersUser }) => {
    const { code, output, left } = await runDemo({ asServersUser })
    expect(code, output).toBe(0)
    const counts = [...output.matchAll(/rows +\| amount.*\n.*-\n +\| (\d+) .*\| ([0-9a-f]{32})/g)]
    expect(counts.map(([, count]) => Number(count))).toEqual([100_000, 150_000, 150_000])
    expect(counts[2]![2]).toBe(counts[1]![2])
    expect(output).toContain('archive_mode')
    expect(output).toMatch(/Done in \d+\.\d s/)
    expect(left).toEqual([])
  })

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('cleans up when it is interrupted in step %s', async (number) => {
    const { code, output, left } = await runDemo({ until: new RegExp(`^${number}\\. `, 'm') })
    expect(code, output).toBe(130)
    expect(output).toContain('Interrupted: cleaning up.')
    expect(left).toEqual([])
  })

  test('cleans up when the terminal goes away', async () => {
    const { code, left } = await runDemo({ until: /base-push/, signal: 'SIGHUP' })
    expect(code).toBe(129)
    expect(left).toEqual([])
  })
})
