/**
 * Bundles every executable into dist/, code-split, so that none loads what it does not need.
 *
 * Executables may be running meanwhile, out of this very directory: new chunks have new names (a hash of their content)
 * and come first, entry files are replaced by rename, and superseded chunks stay for an hour.
 */
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type RolldownOutput, rolldown } from 'rolldown'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, 'dist')
const mains = join(root, 'src', 'cli', 'main')
const staleAfter = 3_600_000

const building = join(dist, `.building-${process.pid}`)
try {
  const entries = await readdir(mains)
  const output = await bundle(entries.map((name) => join(mains, name)))
  await writeFile(join(building, 'LICENSES.txt'), await licences(output))
  await publish(output)
  process.stdout.write(`built ${entries.map((name) => basename(name, '.ts')).join(', ')} in ${relative(root, dist)}/\n`)
} finally {
  await rm(building, { recursive: true, force: true })
}

async function bundle(input: string[]): Promise<RolldownOutput> {
  const bundler = await rolldown({
    input,
    cwd: root,
    platform: 'node',
    external: ['pg-native'],
    transform: { target: 'node20' },
    // The command line uses yargs' parser only: without this its terminal tables and locales would come along, and
    // they alone cost more than half of the start-up.
    treeshake: { moduleSideEffects: [{ test: /node_modules\/(yargs|cliui|string-width|y18n)\//, sideEffects: false }] },
    checks: { eval: false },
    onwarn: (warning) => {
      throw new Error(`the bundler warns: ${warning.message}`)
    },
  })
  try {
    return await bundler.write({
      dir: building,
      format: 'esm',
      entryFileNames: '[name].js',
      chunkFileNames: 'chunks/[name]-[hash].js',
      comments: { legal: true },
    })
  } finally {
    await bundler.close()
  }
}

/** The licence of every package that went into the bundle. */
async function licences(output: RolldownOutput): Promise<string> {
  const packages = new Set<string>()
  for (const chunk of output.output) {
    for (const id of chunk.type === 'chunk' ? chunk.moduleIds : []) {
      const found = /^.*[/\\]node_modules[/\\](?:@[^/\\]+[/\\])?[^/\\]+/.exec(id.replace(/^\0/, ''))
      if (found) packages.add(found[0])
    }
  }
  const texts: string[] = []
  for (const directory of [...packages].sort()) {
    const manifest = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8'))
    const file = (await readdir(directory)).find((name) => /^licen[cs]e/i.test(name))
    const text = file === undefined ? `Licence: ${manifest.license}` : await readFile(join(directory, file), 'utf8')
    texts.push(`${manifest.name} ${manifest.version}\n\n${text.trim()}\n`)
  }
  return texts.join(`\n${'-'.repeat(80)}\n\n`)
}

async function publish(output: RolldownOutput): Promise<void> {
  const names = output.output.map(({ fileName }) => fileName)
  const isChunk = (name: string) => name.startsWith('chunks/')
  await mkdir(join(dist, 'chunks'), { recursive: true })
  // Their hour begins now, however old the last build is.
  for (const path of await chunksInUse()) await utimes(path, new Date(), new Date())
  for (const name of names.filter(isChunk)) await rename(join(building, name), join(dist, name))
  for (const name of [...names.filter((name) => !isChunk(name)), 'LICENSES.txt']) {
    await rename(join(building, name), join(dist, name))
  }
  const current = new Set(names.map((name) => name.replaceAll('/', sep)))
  for (const name of await readdir(join(dist, 'chunks'))) {
    const path = join(dist, 'chunks', name)
    if (!current.has(join('chunks', name)) && Date.now() - (await stat(path)).mtimeMs > staleAfter) await rm(path)
  }
}

/** The chunks that the entry files of the last build load, directly or through other chunks. */
async function chunksInUse(): Promise<Set<string>> {
  const chunks = await readdir(join(dist, 'chunks'))
  const inUse = new Set<string>()
  const visit = async (path: string) => {
    const text = await readFile(path, 'utf8')
    for (const name of chunks) {
      const chunk = join(dist, 'chunks', name)
      if (inUse.has(chunk) || !text.includes(`/${name}`)) continue
      inUse.add(chunk)
      await visit(chunk)
    }
  }
  for (const name of await readdir(dist)) if (name.endsWith('.js')) await visit(join(dist, name))
  return inUse
}
