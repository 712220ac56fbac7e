/** One parser for each kind of option, whoever set it, so that a wrong value is the same error everywhere. */
import { OPTIONS, type OptionKind, type OptionName, type OptionValues } from '../commands/options.ts'
import { DURATION_FORM, parseDuration } from '../core/duration.ts'
import { SeawallError } from '../core/errors.ts'
import { redact } from '../core/redact.ts'

/** Who set a value: "flag --window", "environment variable SEAWALL_WINDOW", "/etc/seawall/seawall.yaml: window". */
export type Source = string

const truths: Record<string, boolean> = { true: true, 1: true, yes: true, false: false, 0: false, no: false }

/**
 * @param raw text; for a switch also a boolean, for a list also an array of texts; the YAML file may hold other things.
 * @throws SeawallError `usage` that names the option, where the value came from, what was expected and what was got.
 */
export function parseOptionValue<Name extends OptionName>(
  name: Name,
  raw: unknown,
  source: Source,
): OptionValues[Name] {
  const kind: OptionKind = OPTIONS[name]
  const value = parseKind(kind, raw)
  if (value === undefined) {
    throw new SeawallError('usage', {
      operation: 'use the value of',
      object: source,
      reason: `expected ${expected(kind)}, got ${shown(raw)}`,
      hint: hintFor(name, kind, raw),
    })
  }
  return value as OptionValues[Name]
}

function hintFor(name: OptionName, kind: OptionKind, raw: unknown): string {
  const isNumber = kind.kind === 'duration' && /^\d+$/.test(String(raw))
  return isNumber ? `Write the unit too, such as ${raw}d, ${raw}h or ${raw}s.` : `${OPTIONS[name].describe}.`
}

function parseKind(kind: OptionKind, raw: unknown): unknown {
  switch (kind.kind) {
    case 'text':
      return text(raw)
    case 'texts':
      return list(raw)
    case 'switch':
      return typeof raw === 'boolean' ? raw : truths[String(raw)]
    case 'choice':
      return kind.choices.includes(String(raw)) ? String(raw) : undefined
    case 'duration': {
      const duration = typeof raw === 'string' ? parseDuration(raw) : undefined
      return duration !== undefined && duration >= (kind.minimum ?? 0) ? duration : undefined
    }
    case 'count': {
      const count = /^\d{1,15}$/.test(String(raw)) ? Number(raw) : undefined
      return count !== undefined && count >= kind.minimum && count <= kind.maximum ? count : undefined
    }
  }
}

/** Text that has something in it. */
function text(raw: unknown): string | undefined {
  return typeof raw === 'string' && raw !== '' && !raw.includes('\0') ? raw : undefined
}

function list(raw: unknown): string[] | undefined {
  const entries = (Array.isArray(raw) ? raw : [raw]).map(text)
  return entries.every((entry) => entry !== undefined) ? entries : undefined
}

function expected(kind: OptionKind): string {
  switch (kind.kind) {
    case 'text':
      return kind.placeholder
    case 'texts':
      return `one or more of ${kind.placeholder}`
    case 'switch':
      return 'true or false'
    case 'choice':
      return kind.choices.length === 1 ? kind.choices[0]! : `one of ${kind.choices.join(', ')}`
    case 'duration':
      return kind.minimum === undefined ? DURATION_FORM : `${DURATION_FORM}; at least ${kind.minimum}ms`
    case 'count':
      return `a whole number from ${kind.minimum} to ${kind.maximum}`
  }
}

function shown(raw: unknown): string {
  if (raw === '' || raw === null || raw === undefined) return 'nothing'
  return redact(JSON.stringify(raw))
}
