/** Timeline histories: who descends from whom, and where they parted. */
import { SeawallError } from './errors.ts'
import { type Lsn, parseLsn } from './lsn.ts'

export interface Ancestor {
  readonly timeline: number
  /** Where the next timeline in the list (or the history's own) begins. */
  readonly forkedAt: Lsn
}

export interface TimelineHistory {
  readonly timeline: number
  /** Oldest first; the last one is the parent. Empty for a timeline without a history file. */
  readonly ancestors: readonly Ancestor[]
}

/**
 * Parses a history file as PostgreSQL does (access/transam/timeline.c): lines of timeline, LSN and a reason, comments
 * from `#`, blank lines; timelines ascend and stay below the file's own.
 * @param object names the file in errors (`corrupt`).
 */
export function parseHistory(text: string, timeline: number, object: string): TimelineHistory {
  const ancestors: Ancestor[] = []
  for (const line of text.split('\n')) {
    if (/^\s*(#|$)/.test(line)) continue
    const match = /^\s*(\d{1,10})\s+(\S+)/.exec(line)
    const parent = match ? Number(match[1]) : 0
    const forkedAt = match ? parseLsn(match[2]!) : undefined
    if (forkedAt === undefined || parent < 1 || parent >= timeline || parent <= (ancestors.at(-1)?.timeline ?? 0)) {
      throw new SeawallError('corrupt', {
        operation: 'read timeline history',
        object,
        reason: `"${line.slice(0, 100)}" is not a line of a history file of timeline ${timeline}`,
        hint: 'Compare the file with the one in pg_wal of a server that is on this timeline.',
      })
    }
    ancestors.push({ timeline: parent, forkedAt })
  }
  return { timeline, ancestors }
}

/** Where `history` leaves `timeline` for a later one; undefined if it is its own timeline or not an ancestor. */
export function forkOf(history: TimelineHistory, timeline: number): Lsn | undefined {
  return history.ancestors.find((ancestor) => ancestor.timeline === timeline)?.forkedAt
}

/** Whether WAL of `timeline` up to `end` is part of `history`. */
export function includes(history: TimelineHistory, timeline: number, end: Lsn): boolean {
  if (timeline === history.timeline) return true
  const forkedAt = forkOf(history, timeline)
  return forkedAt !== undefined && end <= forkedAt
}

/** Where `history` begins its own timeline: its parent's fork; 0 for one without ancestors. */
export function beginningOf(history: TimelineHistory): Lsn {
  return history.ancestors.at(-1)?.forkedAt ?? 0n
}

/** The timeline that `history` is on at the byte at `lsn`. */
export function timelineAt(history: TimelineHistory, lsn: Lsn): number {
  return history.ancestors.find((ancestor) => lsn < ancestor.forkedAt)?.timeline ?? history.timeline
}
