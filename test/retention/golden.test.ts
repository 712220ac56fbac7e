import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { planRetention } from '../../src/retention/plan.ts'
import { planText } from '../../src/retention/report.ts'
import { DAY } from './fake-archive.ts'
import { june, threeTimelines } from './three-timelines.ts'

const expected = (name: string) => readFileSync(new URL(`golden/${name}.txt`, import.meta.url), 'utf8')

describe('three backups over 20 days, an abandoned branch, a recovery to below an older backup', () => {
  test('while both lines are in the window, the oldest backup serves them', async () => {
    const inventory = await threeTimelines(june(15)).inventory()
    const plan = planRetention(inventory, { windowMs: 7 * DAY, keepBase: 1 }, june(15, 3))
    expect(planText(plan)).toBe(expected('both-lines-live'))
  })

  test('later the younger backup that lies lower replaces both older ones', async () => {
    const inventory = await threeTimelines(june(21)).inventory()
    const plan = planRetention(inventory, { windowMs: 7 * DAY, keepBase: 1 }, june(21, 3))
    expect(planText(plan)).toBe(expected('after-recovery'))
  })
})
