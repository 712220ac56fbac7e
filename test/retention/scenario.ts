/** Short words for the histories that the tests tell. Times are days; segments are numbers. */
import { segmentName } from '../../src/core/wal-names.ts'
import { removalSteps } from '../../src/retention/execute.ts'
import { type Plan, planRetention } from '../../src/retention/plan.ts'
import { DAY, FakeArchive, MiB } from './fake-archive.ts'

export function day(number: number): Date {
  return new Date(Date.UTC(2026, 0, 1) + number * DAY)
}

export class Scenario extends FakeArchive {
  constructor() {
    super(MiB)
  }

  /** Archives segments `first`..`last` of a timeline, one a day from a day on. */
  wal(timeline: number, first: number, last: number, fromDay: number): void {
    for (let number = first; number <= last; number++) {
      this.segment(timeline, number, day(fromDay + number - first), 1000)
    }
  }

  /** A backup that needs exactly one segment, of a timeline. @returns its id */
  base(timeline: number, segment: number, endedAt: number): string {
    return this.backup({
      timeline,
      start: this.lsn(segment, 40),
      stop: this.lsn(segment, 400),
      stoppedAt: day(endedAt),
      partSize: 5000,
    })
  }

  /** A timeline that leaves each ancestor `[timeline, segment]` in the middle of that segment. */
  fork(timeline: number, ancestors: readonly (readonly [number, number])[], archivedAt: number): void {
    this.history(
      timeline,
      ancestors.map(([parent, segment]) => ({ timeline: parent, forkedAt: this.lsn(segment, MiB / 2) })),
      day(archivedAt),
    )
  }

  async plan({ window = 7, keepBase = 1, now = 1000 } = {}): Promise<Plan> {
    return planRetention(await this.inventory(), { windowMs: window * DAY, keepBase }, day(now))
  }
}

/** Ids of the backups that are kept, complete or not, and of those that are removed. */
export function backupsOf(plan: Plan): { kept: string[]; removed: string[] } {
  const ids = (keep: boolean) =>
    plan.entries
      .filter((entry) => entry.kind === 'backup' && entry.keep === keep)
      .map((entry) => entry.name.split(' ').at(-1)!)
  return { kept: ids(true), removed: ids(false) }
}

/** The segments of a timeline that are kept, by number. */
export function keptSegments(plan: Plan, timeline: number): number[] {
  return [...keptKeys(plan)]
    .map((key) => key.split('/').at(-1)!)
    .filter((name) => /^[0-9A-F]{24}\.zst$/.test(name) && name.startsWith(segmentName(timeline, 0n, MiB).slice(0, 8)))
    .map((name) => Number.parseInt(name.slice(16, 24), 16))
}

export function keptKeys(plan: Plan): Set<string> {
  return new Set(plan.entries.filter(({ keep }) => keep).flatMap((entry) => [...entry.objects()].map(({ key }) => key)))
}

/** Every key that is removed, in the order of removal. */
export function removedKeys(plan: Plan): string[] {
  return [...removalSteps(plan)].flatMap((keys) => [...keys])
}

/** Why a backup is kept or removed. */
export function reasonFor(plan: Plan, id: string): string {
  return plan.entries.find((entry) => entry.name.endsWith(id))!.reason
}

/** `[first, first + 1, …, last]` */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
