/** The launchers, as the user of the servers can execute them. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { giveToServersUser, serversUserCanRead } from './servers-user.ts'
import { temporaryDirectory } from './temporary.ts'

const checkout = join(dirname(fileURLToPath(import.meta.url)), '../..')
const build = join(checkout, 'dist/wal-push.js')

let installed: string | undefined

/**
 * The directory of the launchers: the checkout's `bin`, or, where the servers' user cannot read the checkout (a
 * root-only home directory), that of a copy which npm packs and installs once, below a temporary directory.
 * Either needs the build to have been run.
 */
export function binDirectory(): string {
  if (!existsSync(build)) throw new Error('there is no build: run "npm run build"')
  installed ??= checkoutIsReadable() ? checkout : install(temporaryDirectory())
  return join(installed, 'bin')
}

/** Whether the servers' user can run the launchers where they are. */
export function checkoutIsReadable(): boolean {
  return serversUserCanRead(build)
}

/** Packs the checkout and installs the package below `directory`. @returns the directory of the installed package. */
export function install(directory: string): string {
  npm(['pack', '--ignore-scripts', '--pack-destination', directory], checkout)
  const { name, version } = JSON.parse(npm(['pkg', 'get', 'name', 'version'], checkout)) as Record<string, string>
  npm(
    ['install', '--no-audit', '--no-fund', '--prefix', directory, join(directory, `${name}-${version}.tgz`)],
    directory,
  )
  giveToServersUser(directory)
  return join(directory, 'node_modules', name!)
}

function npm(argv: readonly string[], cwd: string): string {
  const result = spawnSync('npm', ['--loglevel=error', ...argv], { cwd, encoding: 'utf8' })
  if (result.error) throw result.error
  if (result.status !== 0) throw new Error(`npm ${argv.join(' ')} failed:\n${result.stderr}`)
  return result.stdout
}
