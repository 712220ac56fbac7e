/** The YAML file: flat keys, named like the options of all executables. */
import { readFile } from 'node:fs/promises'
import { OPTIONS, type OptionName } from '../commands/options.ts'
import { errno, localIoError, reasonOf, SeawallError } from '../core/errors.ts'
import { didYouMean } from './closest.ts'

/**
 * The raw values in a file; undefined if it does not exist and nobody asked for it by name.
 * @throws SeawallError `usage` or `local-io`
 */
export async function readSettingsFile(
  path: string,
  required: boolean,
): Promise<ReadonlyMap<OptionName, unknown> | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errno(error) === 'ENOENT' && !required) return undefined
    throw localIoError(
      'read the configuration file',
      path,
      error,
      'Check that the path given by --config or SEAWALL_CONFIG is right and that this user may read it.',
    )
  }
  return parseSettings(text, path)
}

/** Every scalar stays the text that was written, so that `0123` and `yes` mean what they mean in a flag. */
async function parseSettings(text: string, path: string): Promise<ReadonlyMap<OptionName, unknown>> {
  const { isMap, isScalar, parseDocument } = await import('yaml')
  const document = parseDocument(text, { schema: 'failsafe', prettyErrors: true, logLevel: 'silent' })
  const fault = document.errors[0] ?? document.warnings[0]
  if (fault) throw badFile(path, `it is not valid YAML: ${fault.message.split('\n')[0]!.replace(/:$/, '')}`)
  const values = new Map<OptionName, unknown>()
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === '')) return values
  if (!isMap(document.contents)) throw badFile(path, 'it holds no "key: value" lines')
  let content: Record<string, unknown>
  try {
    content = document.toJS()
  } catch (error) {
    throw badFile(path, `it is not valid YAML: ${reasonOf(error)}`)
  }
  for (const [key, value] of Object.entries(content)) {
    if (!Object.hasOwn(OPTIONS, key)) {
      throw new SeawallError('usage', {
        operation: 'use the key',
        object: `"${key}" in ${path}`,
        reason: 'there is no such option',
        hint: `${didYouMean(key, Object.keys(OPTIONS))}Every key is named like an option, without "--".`,
      })
    }
    values.set(key as OptionName, value)
  }
  return values
}

function badFile(path: string, reason: string): SeawallError {
  return new SeawallError('usage', {
    operation: 'use the configuration file',
    object: path,
    reason,
    hint: 'Write one "option: value" a line; examples/seawall.yaml explains every key.',
  })
}
