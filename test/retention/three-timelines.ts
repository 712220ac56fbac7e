/**
 * A cluster's history, a segment every twelve hours:
 *
 *     timeline 1  31 May ─ A 1 June ─┬───┬──── B 8 June ──── 10 June, damage
 *     timeline 2                4 June  └ a test copy that archived for a day and a half, abandoned
 *     timeline 3        10 June: recovery from A to a point below B ┴ ─ C 12 June, below B ─── production
 */
import { DAY, FakeArchive } from './fake-archive.ts'

/** Midnight (UTC) of a day of June 2026, and hours after it. */
export function june(day: number, hours = 0): Date {
  return new Date(Date.UTC(2026, 5, day, hours))
}

/** The archive as it was at a moment from 13 June on. */
export function threeTimelines(until: Date): FakeArchive {
  const archive = new FakeArchive(undefined, undefined, june(0))
  const segments = (timeline: number, first: number, from: Date, to: Date) => {
    for (let number = first, time = from.getTime(); time <= Math.min(to.getTime(), until.getTime()); number++) {
      archive.segment(timeline, number, new Date(time))
      time += DAY / 2
    }
  }
  const backup = (timeline: number, segment: number, stoppedAt: Date) => {
    archive.backup({
      timeline,
      start: archive.lsn(segment, 0x28),
      stop: archive.lsn(segment, 0x158),
      startedAt: new Date(stoppedAt.getTime() - DAY / 48),
      stoppedAt,
    })
    archive.sideFile(timeline, segment, 'backup', stoppedAt)
  }
  segments(1, 1, june(0), june(10))
  backup(1, 4, june(1, 3))
  archive.history(2, [{ timeline: 1, forkedAt: archive.lsn(9, 0x1000) }], june(4, 6))
  archive.sideFile(1, 9, 'partial', june(4, 6))
  segments(2, 9, june(4, 12), june(6))
  backup(1, 18, june(8, 3))
  archive.history(3, [{ timeline: 1, forkedAt: archive.lsn(12, 0x2000) }], june(10, 6))
  archive.sideFile(1, 12, 'partial', june(10, 6))
  segments(3, 12, june(10, 12), until)
  backup(3, 16, june(12, 3))
  return archive
}
