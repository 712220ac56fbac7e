/** examples/seawall.yaml explains every key; here it is held to the options that exist. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { parseFlags } from '../../src/cli/flags.ts'
import { resolveSettings } from '../../src/cli/settings.ts'
import { readSettingsFile } from '../../src/cli/settings-file.ts'
import type { Command } from '../../src/commands/command.ts'
import { OPTIONS, type OptionName } from '../../src/commands/options.ts'
import { probe } from '../support/commands/probe.ts'
import { temporaryDirectory } from '../support/temporary.ts'

const path = fileURLToPath(new URL('../../examples/seawall.yaml', import.meta.url))
const text = readFileSync(path, 'utf8')
const everything: Command<OptionName> = { ...probe, options: Object.keys(OPTIONS) as OptionName[] }

/** What the file names, but says to give at each call. */
const notHere = [...text.slice(text.indexOf('--- Not here')).matchAll(/--([a-z][a-z-]*[a-z])/g)].map(
  (match) => match[1]!,
)

test('it can be used as it is: the defaults, and an archive', async () => {
  const flags = parseFlags(['--config', path, 'done'], everything)
  const { options } = await resolveSettings(everything, flags, {}, '/')
  for (const [name, spec] of Object.entries(OPTIONS)) {
    const value = name === 'archive' ? 'file:///backup' : spec.default
    expect([name, options[name as OptionName]]).toEqual([name, value])
  }
})

test('its keys are the options that have a default, and in comments the others; each is explained', async () => {
  const all = join(temporaryDirectory(), 'all.yaml')
  writeFileSync(all, text.replaceAll(/^# (?=[a-z-]+: )/gm, ''))
  const keys = [...(await readSettingsFile(all, true))!.keys()]
  expect([...keys, ...notHere].sort()).toEqual(Object.keys(OPTIONS).sort())
  await resolveSettings(everything, parseFlags(['--config', all, 'done'], everything), {}, '/')

  const active = [...(await readSettingsFile(path, true))!.keys()]
  const withDefault = keys.filter((name) => name === 'archive' || OPTIONS[name].default !== undefined)
  expect(active.sort()).toEqual(withDefault.sort())
  for (const name of keys) expect(text).toMatch(new RegExp(`\\n# .*\\n(?:# )?${name}: `))
})
