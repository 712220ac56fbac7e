import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planRetention } from '../../src/retention/plan.ts'
import { DAY } from './fake-archive.ts'
import { keptKeys, removedKeys } from './scenario.ts'
import { Life, type Step } from './simulator.ts'

const server = fc.nat(5)
const write = fc.record({
  do: fc.constant('write' as const),
  server,
  kilobytes: fc.integer({ min: 1, max: 4000 }),
  hours: fc.integer({ min: 1, max: 60 }),
})
const backup = fc.record({
  do: fc.constant('backup' as const),
  server,
  kilobytes: fc.integer({ min: 0, max: 1500 }),
  hours: fc.integer({ min: 1, max: 10 }),
})
const fork = fc.record({ do: fc.constant('fork' as const), server, back: fc.nat(8), parentStops: fc.boolean() })
const wait = fc.record({ do: fc.constant('wait' as const), hours: fc.integer({ min: 1, max: 200 }) })
const unfinished = fc.record({ do: fc.constant('begin backup' as const), server })
const loseSegment = fc.record({ do: fc.constant('lose segment' as const), which: fc.nat(1000) })
const losePart = fc.record({ do: fc.constant('lose part' as const), which: fc.nat(1000) })

const healthy: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: write },
  { weight: 5, arbitrary: backup },
  { weight: 3, arbitrary: fork },
  { weight: 1, arbitrary: wait },
  { weight: 1, arbitrary: unfinished },
)
const damaged: fc.Arbitrary<Step> = fc.oneof(
  { weight: 24, arbitrary: healthy },
  { weight: 1, arbitrary: loseSegment },
  { weight: 1, arbitrary: losePart },
)

const lives = (step: fc.Arbitrary<Step>): fc.Arbitrary<Given> =>
  fc.record({
    steps: fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }),
    skewHours: fc.integer({ min: -30, max: 30 }),
    windowHours: fc.integer({ min: 0, max: 400 }),
    keepBase: fc.integer({ min: 1, max: 3 }),
    idleHours: fc.nat(300),
  })

interface Given {
  readonly steps: Step[]
  /** How far the servers' clocks are ahead of the archive's. */
  readonly skewHours: number
  readonly windowHours: number
  readonly keepBase: number
  /** From the last step until the prune. */
  readonly idleHours: number
}

async function prune({ steps, skewHours, windowHours, keepBase, idleHours }: Given, forgetHistories = false) {
  const life = new Life(steps, skewHours)
  if (forgetHistories) {
    for (const { timeline } of life.branches.filter((branch) => branch.timeline % 2 === 0)) {
      life.archive.histories.delete(timeline)
      life.archive.objects.delete(life.archive.layout.history(timeline))
    }
  }
  const now = new Date(life.now + idleHours * 3_600_000)
  const policy = { windowMs: (windowHours * DAY) / 24, keepBase }
  const plan = planRetention(await life.archive.inventory(), policy, now)
  const all = new Set(life.archive.objects.keys())
  const { start, end } = plan.window!
  // By the archive itself, not by the plan: a branch is live if anything of it was archived since the window began.
  const live = life.branches
    .map(({ timeline }) => timeline)
    .filter((timeline) => {
      const digits = timeline.toString(16).toUpperCase().padStart(8, '0')
      return [...life.archive.objects].some(
        ([key, { modified }]) =>
          key.includes('/wal/') && key.split('/').at(-1)!.startsWith(digits) && modified >= start,
      )
    })
  return { life, plan, all, kept: keptKeys(plan), live, start: start.getTime(), end: end.getTime() }
}

/** Moments at which something changes, and the ends of the window. */
function momentsIn({ life, start, end }: { life: Life; start: number; end: number }): number[] {
  const changes = [
    ...life.branches.flatMap(({ log, bornAt }) => [bornAt, ...log.map(({ time }) => time)]),
    ...life.backups.map(({ stoppedAt }) => stoppedAt),
  ]
  const moments = [start, end, ...changes.flatMap((time) => [time, time - 1])]
  return [...new Set(moments)].filter((moment) => start <= moment && moment <= end)
}

async function nothingIsLost(given: Given, forgetHistories = false): Promise<number> {
  const pruned = await prune(given, forgetHistories)
  const { life, all, kept, live } = pruned
  let checked = 0
  for (const timeline of live) {
    for (const moment of momentsIn(pruned)) {
      if (!life.restorable(timeline, moment, all)) continue
      checked += 1
      if (!life.restorable(timeline, moment, kept)) {
        throw new Error(`timeline ${timeline} can no longer be restored to ${new Date(moment).toISOString()}`)
      }
    }
  }
  return checked
}

test('every moment of the window stays restorable on every live timeline', async () => {
  let checked = 0
  let removed = 0
  await fc.assert(
    fc.asyncProperty(lives(healthy), async (given) => {
      checked += await nothingIsLost(given)
      removed += removedKeys((await prune(given)).plan).length
    }),
    { numRuns: 400 },
  )
  expect(checked).toBeGreaterThan(1000)
  expect(removed).toBeGreaterThan(1000)
})

test('also with damaged backups and holes in the WAL', async () => {
  let checked = 0
  await fc.assert(
    fc.asyncProperty(lives(damaged), async (given) => {
      checked += await nothingIsLost(given)
    }),
    { numRuns: 400 },
  )
  expect(checked).toBeGreaterThan(1000)
})

test('also when history files are missing that may be found again', async () => {
  let checked = 0
  await fc.assert(
    fc.asyncProperty(lives(damaged), async (given) => {
      checked += await nothingIsLost(given, true)
    }),
    { numRuns: 300 },
  )
  expect(checked).toBeGreaterThan(1000)
})

test('nothing is kept without need', async () => {
  await fc.assert(
    fc.asyncProperty(lives(healthy), async (given) => {
      const { life, plan, kept, live, start } = await prune(given)
      const { layout } = life.archive
      if (life.backups.length === 0) {
        expect(removedKeys(plan)).toEqual([])
        return
      }
      const keptBackups = life.backups.filter(({ id }) => kept.has(layout.backupRecord(id)))
      // By the later of both clocks, as promised.
      const ended = ({ id, stoppedAt }: { id: string; stoppedAt: number }) =>
        Math.max(stoppedAt, life.archive.objects.get(layout.backupRecord(id))!.modified.getTime())
      for (const backup of keptBackups) {
        const newer = keptBackups.filter((other) => other.stop > backup.stop && ended(other) < start)
        const needed =
          ended(backup) >= start ||
          keptBackups.length <= given.keepBase ||
          live.some(
            (timeline) =>
              life.isOnLineOf(timeline, backup) &&
              !life.restorable(timeline, start, kept, (other) => newer.includes(other)),
          )
        expect(needed, `backup ${backup.id} is needed`).toBe(true)
      }
      const young = plan.entries.filter((entry) => entry.keep && entry.name.startsWith('incomplete'))
      const starts = [
        ...keptBackups.map((each) => Math.floor(each.start / 2 ** 20)),
        ...young.map((entry) => Number.parseInt(entry.name.slice(-8), 16)),
      ]
      const lowest = Math.min(...starts)
      for (const [key, { modified }] of life.archive.objects) {
        const segment = /\/([0-9A-F]{8})[0-9A-F]{8}([0-9A-F]{8})\.zst$/.exec(key)
        if (!segment) continue
        const timeline = Number.parseInt(segment[1]!, 16)
        const unserved =
          live.includes(timeline) &&
          modified.getTime() >= start &&
          !keptBackups.some((each) => life.isOnLineOf(timeline, each))
        expect([key, kept.has(key)]).toEqual([key, unserved || Number.parseInt(segment[2]!, 16) >= lowest])
      }
    }),
    { numRuns: 400 },
  )
})
