/** An archive on local disk for one test, wired as the files in examples/ say. */
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Settings } from './cluster.ts'
import { binDirectory } from './installation.ts'
import { type Result, type RunOptions, run } from './processes.ts'
import { serversUser } from './servers-user.ts'
import { temporaryDirectory } from './temporary.ts'

const examples = join(dirname(fileURLToPath(import.meta.url)), '../../examples')

export interface TestArchive {
  /** The archive's root: what `--archive file://…` names. */
  readonly root: string
  readonly url: string
  /** A private seawall.yaml. */
  readonly config: string
  readonly stateDirectory: string
  /** For postgresql.conf: those of examples/postgresql.conf. */
  readonly settings: Settings
  /** The restore_command of a recovery that is set up by hand. */
  readonly restoreCommand: string
  /** Runs a launcher with this archive's configuration, as the user of the servers. */
  call(executable: string, args: readonly string[], options?: RunOptions): Promise<Result>
  /** The text of a file in examples/ with this test's paths in place of the documented ones. */
  example(name: string, replacements?: Readonly<Record<string, string>>): string
}

/** Makes the root, the configuration and the state directory. */
export function createArchive(): TestArchive {
  const directory = temporaryDirectory()
  const [root, stateDirectory, config] = ['archive', 'state', 'seawall.yaml'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  const user = serversUser()
  for (const made of [root, stateDirectory]) {
    mkdirSync(made)
    if (user.change) chownSync(made, user.uid, user.gid)
  }
  const bin = binDirectory()
  const url = `file://${root}`
  writeFileSync(config, `archive: ${url}\nstate-dir: ${stateDirectory}\n`)
  const example = (name: string, replacements: Readonly<Record<string, string>> = {}) => {
    let text = readFileSync(join(examples, name), 'utf8')
    const all = { '/usr/local/bin': bin, '/etc/seawall/seawall.yaml': config, ...replacements }
    for (const [documented, ours] of Object.entries(all)) text = text.replaceAll(documented, ours)
    return text
  }
  return {
    root,
    url,
    config,
    stateDirectory,
    settings: parseSettings(example('postgresql.conf')),
    restoreCommand: `${join(bin, 'wal-fetch')} --config ${config} %f %p`,
    call: (executable, args, options) => run([join(bin, executable), '--config', config, ...args], options),
    example,
  }
}

/** The settings of a postgresql.conf, quotes removed. */
function parseSettings(text: string): Settings {
  const settings: Record<string, string> = {}
  for (const line of text.split('\n')) {
    const match = /^([a-z_]+) = (?:'(.*)'|(\S+))$/.exec(line)
    if (match) settings[match[1]!] = match[2] ?? match[3]!
  }
  return settings
}
