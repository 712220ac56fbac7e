import { globSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { brokenRules } from './support/layers.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const sources = Object.fromEntries(
  globSync('src/**/*.ts', { cwd: root }).map((path) => [
    path.replaceAll(sep, '/'),
    readFileSync(join(root, path), 'utf8'),
  ]),
)

test('src/ keeps its layers', () => {
  expect(Object.keys(sources).length).toBeGreaterThan(30)
  expect(brokenRules(sources)).toEqual([])
})

const lsn = '../core/lsn.ts'

test.each<[path: string, source: string, rule: string | undefined]>([
  ['src/wal/x.ts', `import { parseLsn } from '${lsn}'`, undefined],
  ['src/wal/x.ts', "import type { Storage } from '../storage/storage.ts'", undefined],
  ['src/wal/x.ts', "import { open } from 'node:fs/promises'", undefined],
  ['src/wal/x.ts', "import { listBase } from '../base/list.ts'", 'src/wal/x.ts must not import src/base/list.ts'],
  ['src/wal/x.ts', "import {\n  a,\n  b,\n} from '../base/list.ts'", 'src/wal/x.ts must not import src/base/list.ts'],
  ['src/wal/x.ts', "import type { A } from '../commands/a.ts'", 'src/wal/x.ts must not import src/commands/a.ts'],
  [
    'src/wal/x.ts',
    "import { openLocal } from '../storage/local.ts'",
    'src/wal/x.ts must not import src/storage/local.ts',
  ],
  ['src/wal/x.ts', "export * from '../storage/local.ts'", 'src/wal/x.ts must not import src/storage/local.ts'],
  ['src/wal/x.ts', "await import('../storage/local.ts')", 'src/wal/x.ts must not import src/storage/local.ts'],
  ['src/wal/x.ts', "let a: import('../cli/a.ts').A", 'src/wal/x.ts must not import src/cli/a.ts'],
  ['src/wal/x.ts', "import { a } from '../../test/a.ts'", 'src/wal/x.ts must not import test/a.ts'],
  ['src/wal/x.ts', "import a from '../../package.json'", 'src/wal/x.ts must not import package.json'],
  ['src/core/x.ts', "import { a } from '../archive/a.ts'", 'src/core/x.ts must not import src/archive/a.ts'],
  ['src/codec/x.ts', "import { a } from '../storage/a.ts'", 'src/codec/x.ts must not import src/storage/a.ts'],
  [
    'src/retention/x.ts',
    "import { a } from '../codec/codec.ts'",
    'src/retention/x.ts must not import src/codec/codec.ts',
  ],
  [
    'src/archive/x.ts',
    "import { a } from '../codec/native.ts'",
    'src/archive/x.ts must not import src/codec/native.ts',
  ],
  [
    'src/commands/x.ts',
    "import { a } from '../storage/memory.ts'",
    'src/commands/x.ts must not import src/storage/memory.ts',
  ],
  ['src/commands/x.ts', "import { a } from '../cli/main.ts'", 'src/commands/x.ts must not import src/cli/main.ts'],
  ['src/new/x.ts', `import { a } from '${lsn}'`, 'src/new/x.ts must not import src/core/lsn.ts'],
  ['src/x.ts', "import { a } from './core/lsn.ts'", 'src/x.ts must not import src/core/lsn.ts'],
  ['src/wal/x.ts', "import './y.ts'", 'src/wal/x.ts imports ./y.ts for a side effect'],
  ['src/wal/x.ts', 'process.exit(1)', 'src/wal/x.ts uses process.exit, which belongs to src/cli'],
  ['src/wal/x.ts', 'const a = process.env.HOME', 'src/wal/x.ts uses process.env, which belongs to src/cli'],
  ['src/wal/x.ts', "import { env } from 'node:process'", "src/wal/x.ts uses 'node:process', which belongs to src/cli"],
  ['src/wal/x.ts', 'const { env } = process', 'src/wal/x.ts uses { env } = process, which belongs to src/cli'],
  [
    'src/wal/x.ts',
    "const url = 'file://'; process.exit(1)",
    'src/wal/x.ts uses process.exit, which belongs to src/cli',
  ],
  ['src/wal/x.ts', '// process.exit(1)\n/* console.log() */\nconst a = process.pid', undefined],
  ['src/wal/x.ts', "// import '../cli/main.ts'\n", undefined],
  ['src/cli/x.ts', 'process.exit(1)', undefined],
])('%s: %s', (path, source, rule) => {
  expect(brokenRules({ [path]: source })).toEqual(rule === undefined ? [] : [rule])
})

test('a cycle is found, also one of types', () => {
  const planted = {
    'src/core/a.ts': "import { b } from './b.ts'",
    'src/core/b.ts': "import type { C } from './c.ts'",
    'src/core/c.ts': "import { b } from './b.ts'",
    'src/core/d.ts': "import { d } from './d.ts'",
  }
  expect(brokenRules(planted)).toEqual([
    'src/core/b.ts -> src/core/c.ts -> src/core/b.ts',
    'src/core/d.ts -> src/core/d.ts',
  ])
})
