import { expect, test } from 'vitest'
import { SeawallError } from '../../src/core/errors.ts'
import { jsonReport, textReport } from '../../src/retention/report.ts'
import { day, keptKeys, removedKeys, Scenario } from './scenario.ts'

const subject = { archive: 'file:///backup', cluster: 'main', dryRun: false }
const failure = new SeawallError('corrupt', {
  operation: 'read',
  object: 'x',
  reason: 'it is cut',
  hint: 'Replace it.',
})

async function plans() {
  const archive = new Scenario()
  archive.wal(1, 1, 40, 1)
  archive.base(1, 5, 5)
  archive.base(1, 25, 25)
  const plan = await archive.plan()
  return { archive, plan }
}

test('JSON names every object with its fate and reason, and is one document', async () => {
  const { archive, plan } = await plans()
  let text = ''
  const report = jsonReport((piece) => {
    text += piece
  }, subject)
  report.planned(plan)
  report.executed({ removed: 28, abandoned: 0 })
  report.failed('123', failure)
  report.planned({ ...plan, systemIdentifier: '124' })
  report.failed('124', failure)
  report.end()
  const [first, second, third] = JSON.parse(text).systemIdentifiers
  expect(JSON.parse(text)).toMatchObject(subject)
  expect(first).toMatchObject({
    systemIdentifier: archive.layout.systemIdentifier,
    outcome: 'done',
    window: { start: day(33).toISOString(), end: day(40).toISOString() },
    executed: { removed: 28 },
  })
  const keys = (action: string) =>
    first.objects.filter((each: { action: string }) => each.action === action).map((each: { key: string }) => each.key)
  expect(keys('remove').sort()).toEqual(removedKeys(plan).sort())
  expect(keys('keep').sort()).toEqual([...keptKeys(plan)].sort())
  expect(first.objects[0]).toEqual({
    key: archive.layout.record,
    size: expect.any(Number),
    modified: expect.any(String),
    kind: 'cluster',
    action: 'keep',
    reason: expect.any(String),
  })
  expect(first.remove.objects + first.keep.objects).toBe(archive.objects.size)
  expect(second).toEqual({ systemIdentifier: '123', error: expect.objectContaining({ code: 'corrupt' }) })
  expect(third).toMatchObject({ systemIdentifier: '124', outcome: 'done', error: { code: 'corrupt' } })
})

test('JSON of nothing is a document too', () => {
  let text = ''
  jsonReport((piece) => {
    text += piece
  }, subject).end()
  expect(JSON.parse(text)).toEqual({ ...subject, systemIdentifiers: [] })
})

test('the text says what was removed, and that a dry run removes nothing', async () => {
  const { plan } = await plans()
  const lines: string[] = []
  const print = (text: string) => {
    lines.push(text)
  }
  const report = textReport(print, subject)
  report.planned(plan)
  report.executed({ removed: 1, abandoned: 2 })
  report.failed('123', failure)
  report.end()
  textReport(print, { ...subject, dryRun: true }).planned(plan)
  const text = lines.join('')
  expect(text).toContain('cluster "main" in file:///backup')
  expect(text).toContain('removed: 1 object, and 2 leftovers of dead writers')
  expect(text).toContain('system identifier 123\nfailed: could not read x: it is cut')
  expect(text).toContain('dry run: nothing is removed')
})
