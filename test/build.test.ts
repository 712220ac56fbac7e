/** The build, on a copy of the sources: what runs out of dist/ must go on while it is replaced. */
import { execFileSync } from 'node:child_process'
import { appendFileSync, cpSync, existsSync, readdirSync, symlinkSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { temporaryDirectory } from './support/temporary.ts'

const checkout = fileURLToPath(new URL('..', import.meta.url))

test('superseded chunks stay for an hour, also where the last build is older than that', () => {
  const copy = temporaryDirectory()
  for (const name of ['src', 'scripts', 'package.json'])
    cpSync(join(checkout, name), join(copy, name), { recursive: true })
  symlinkSync(join(checkout, 'node_modules'), join(copy, 'node_modules'))
  const chunks = join(copy, 'dist/chunks')
  const build = () => execFileSync(process.execPath, [join(copy, 'scripts/build.ts')], { cwd: copy, stdio: 'pipe' })
  const age = () => {
    const longAgo = new Date(Date.now() - 2 * 3_600_000)
    for (const name of readdirSync(chunks)) utimesSync(join(chunks, name), longAgo, longAgo)
  }
  build()
  const first = readdirSync(chunks)
  age()
  appendFileSync(join(copy, 'src/core/exit-codes.ts'), "\nObject.defineProperty(EXIT_CODES, 'x', { value: 1 })\n")
  build()
  expect(readdirSync(chunks).length).toBeGreaterThan(first.length)
  for (const name of first) expect(existsSync(join(chunks, name)), name).toBe(true)
  age()
  build()
  expect(first.filter((name) => !existsSync(join(chunks, name))).length).toBeGreaterThan(0)
})
