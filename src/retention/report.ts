/** A plan in words: a table for people, and JSON for machines. */
import { formatBytes } from '../core/bytes.ts'
import type { SeawallError } from '../core/errors.ts'
import type { Entry } from './entries.ts'
import type { Executed } from './execute.ts'
import type { Plan } from './plan.ts'

export interface Totals {
  readonly objects: number
  readonly bytes: number
}

export function totals(plan: Plan, keep: boolean): Totals {
  const entries = plan.entries.filter((entry) => entry.keep === keep)
  return {
    objects: entries.reduce((sum, { count }) => sum + count, 0),
    bytes: entries.reduce((sum, { size }) => sum + size, 0),
  }
}

export interface Subject {
  /** URL of the archive. */
  readonly archive: string
  readonly cluster: string
  readonly dryRun: boolean
}

/** Told what happens under one system identifier after the other: `planned`, then `executed` or nothing, or `failed`. */
export interface Report {
  planned(plan: Plan): void
  executed(result: Executed): void
  failed(systemIdentifier: string, error: SeawallError): void
  end(): void
}

export function textReport(print: (text: string) => void, { archive, cluster, dryRun }: Subject): Report {
  print(`cluster "${cluster}" in ${archive}\n`)
  return {
    planned: (plan) => print(`\n${planText(plan)}${dryRun ? 'dry run: nothing is removed\n' : ''}`),
    executed: (result) => print(executedText(result)),
    failed: (systemIdentifier, error) => print(`\nsystem identifier ${systemIdentifier}\nfailed: ${error.message}\n`),
    end: () => {},
  }
}

/** One JSON document, printed in pieces, so that a million objects need no memory. */
export function jsonReport(print: (text: string) => void, subject: Subject): Report {
  let current: string | undefined
  const begin = (systemIdentifier: string) => {
    print(`${current === undefined ? '' : '},'}\n{"systemIdentifier":"${systemIdentifier}"`)
    current = systemIdentifier
  }
  print(`${JSON.stringify(subject).slice(0, -1)},"systemIdentifiers":[`)
  return {
    planned: (plan) => {
      begin(plan.systemIdentifier)
      let buffer = ''
      for (const piece of planJson(plan)) {
        buffer += piece
        if (buffer.length < 65_536) continue
        print(buffer)
        buffer = ''
      }
      print(buffer)
    },
    executed: (result) => print(`,"executed":${JSON.stringify(result)}`),
    failed: (systemIdentifier, error) => {
      // What fails while it is carried out was planned, and so begun, before.
      if (current !== systemIdentifier) begin(systemIdentifier)
      const { code, message, hint } = error
      print(`,"error":${JSON.stringify({ code, message, hint })}`)
    },
    end: () => print(current === undefined ? ']}\n' : '}]}\n'),
  }
}

/** The plan as plain text: what is removed, then what is kept, each in the order of time, with totals. */
export function planText(plan: Plan): string {
  const rows = [...plan.entries.filter(({ keep }) => !keep), ...plan.entries.filter(({ keep }) => keep)]
  return [
    `system identifier ${plan.systemIdentifier}`,
    ...(plan.window ? [`recovery window ${time(plan.window.start)} to ${time(plan.window.end)}`] : []),
    '',
    ...table(['', 'what', 'objects', 'size', 'because'], rows.map(rowOf)),
    '',
    `to remove: ${totalsText(totals(plan, false))}`,
    `to keep: ${totalsText(totals(plan, true))}`,
    ...plan.notes.map((note) => `note: ${note}`),
    '',
  ].join('\n')
}

/** What became of the plan, in one line. */
export function executedText({ removed, abandoned }: Executed): string {
  const leftovers =
    abandoned > 0 ? `, and ${abandoned} ${abandoned === 1 ? 'leftover' : 'leftovers'} of dead writers` : ''
  return `removed: ${removed} ${removed === 1 ? 'object' : 'objects'}${leftovers}\n`
}

/** The plan as further members of a JSON object, in pieces: every object with its fate and reason. */
function* planJson(plan: Plan): Generator<string> {
  const head = {
    outcome: plan.outcome,
    window: plan.window ?? null,
    remove: totals(plan, false),
    keep: totals(plan, true),
    notes: plan.notes,
  }
  yield `,${JSON.stringify(head).slice(1, -1)},"objects":[`
  let separator = '\n'
  for (const { kind, keep, reason, objects } of plan.entries) {
    for (const { key, size, modified } of objects()) {
      yield separator + JSON.stringify({ key, size, modified, kind, action: keep ? 'keep' : 'remove', reason })
      separator = ',\n'
    }
  }
  yield '\n]'
}

function rowOf({ keep, name, count, size, reason }: Entry): string[] {
  return [keep ? 'keep' : 'remove', name, String(count), formatBytes(size), reason]
}

/** Columns padded to their widest cell; numbers and sizes to the right. */
function table(head: string[], rows: string[][]): string[] {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  const alignRight = [false, false, true, true, false]
  return all.map((row) =>
    row
      .map((cell, column) => (alignRight[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd(),
  )
}

function totalsText({ objects, bytes }: Totals): string {
  return `${objects} ${objects === 1 ? 'object' : 'objects'}, ${formatBytes(bytes)}`
}

function time(date: Date): string {
  return date
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')
}
