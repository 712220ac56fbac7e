/** Which segments are archived, timeline by timeline, and when: small enough to be held for a million of them. */
import type { ArchivedWal } from '../archive/wal-inventory.ts'
import type { Lsn } from '../core/lsn.ts'
import { forkOf, type TimelineHistory, timelineAt } from '../core/timelines.ts'
import { segmentName, segmentNumber, segmentNumberAt } from '../core/wal-names.ts'

export class WalMap {
  readonly segmentSize: number
  readonly #timelines = new Map<number, { readonly numbers: number[]; readonly archivedAt: number[] }>()

  constructor(segmentSize: number) {
    this.segmentSize = segmentSize
  }

  /** @param files ascending by name. */
  static async of(files: AsyncIterable<ArchivedWal>, segmentSize: number): Promise<WalMap> {
    const map = new WalMap(segmentSize)
    for await (const { file, modified } of files) {
      if (file.kind === 'segment') map.add(file.timeline, segmentNumber(file.segment, segmentSize), modified)
    }
    return map
  }

  /** Adds a segment; those of one timeline must come by ascending number. */
  add(timeline: number, number: bigint, archivedAt: Date): void {
    const segments = this.#timelines.get(timeline) ?? { numbers: [], archivedAt: [] }
    this.#timelines.set(timeline, segments)
    segments.numbers.push(Number(number))
    segments.archivedAt.push(archivedAt.getTime())
  }

  get timelines(): number[] {
    return [...this.#timelines.keys()]
  }

  /** When a segment was archived; undefined if it was not. */
  archivedAt(timeline: number, number: number): Date | undefined {
    const segments = this.#timelines.get(timeline)
    if (!segments) return undefined
    const index = lowerBound(segments.numbers, number)
    return segments.numbers[index] === number ? new Date(segments.archivedAt[index]!) : undefined
  }

  /** The first segment of a timeline that was archived; undefined if none was. */
  first(timeline: number): { number: number; archivedAt: Date } | undefined {
    return this.#at(timeline, 0)
  }

  last(timeline: number): { number: number; archivedAt: Date } | undefined {
    return this.#at(timeline, (this.#timelines.get(timeline)?.numbers.length ?? 0) - 1)
  }

  /** Whether a segment with this or a higher number was archived, after `since` if that is given. */
  continues(timeline: number, number: number, since?: Date): boolean {
    const segments = this.#timelines.get(timeline)
    if (!segments) return false
    for (let index = lowerBound(segments.numbers, number); index < segments.numbers.length; index++) {
      if (since === undefined || segments.archivedAt[index]! > since.getTime()) return true
    }
    return false
  }

  /** The number of the segment that holds the byte at `lsn`. */
  numberAt(lsn: Lsn): number {
    return Number(segmentNumberAt(lsn, this.segmentSize))
  }

  nameOf(timeline: number, number: number): string {
    return segmentName(timeline, BigInt(number), this.segmentSize)
  }

  /** How far the WAL of a history reaches without interruption from the segment that holds `from`. */
  reach(history: TimelineHistory, from: Lsn): Reach {
    const start = this.numberAt(from)
    let number = start
    let previous: Date | undefined
    for (;;) {
      const archivedAt = this.archivedAt(this.#owner(history, number), number)
      if (!archivedAt) break
      previous = archivedAt
      number += 1
    }
    const timeline = this.#owner(history, number)
    return {
      missing: number,
      name: this.nameOf(timeline, number),
      lastArchivedAt: previous,
      isHole: this.#resumes(history, number),
    }
  }

  /** The timeline in whose segment of this number replay along the history needs to read. */
  #owner(history: TimelineHistory, number: number): number {
    return timelineAt(history, BigInt(number + 1) * BigInt(this.segmentSize) - 1n)
  }

  /** Whether a later segment on the way of the history is there. */
  #resumes(history: TimelineHistory, missing: number): boolean {
    return [...history.ancestors.map(({ timeline }) => timeline), history.timeline].some((timeline) => {
      const segments = this.#timelines.get(timeline)
      if (!segments) return false
      const next = segments.numbers[lowerBound(segments.numbers, missing + 1)]
      const forkedAt = forkOf(history, timeline)
      return next !== undefined && (forkedAt === undefined || next < this.numberAt(forkedAt))
    })
  }

  #at(timeline: number, index: number): { number: number; archivedAt: Date } | undefined {
    const segments = this.#timelines.get(timeline)
    const number = segments?.numbers[index]
    return number === undefined ? undefined : { number, archivedAt: new Date(segments!.archivedAt[index]!) }
  }
}

export interface Reach {
  /** Number and name of the first segment that is not archived. */
  readonly missing: number
  readonly name: string
  /** When the segment before it was archived; undefined if it is the first of all. */
  readonly lastArchivedAt: Date | undefined
  /** Whether later ones are archived. */
  readonly isHole: boolean
}

/** Index of the first element that is not less. */
function lowerBound(numbers: readonly number[], wanted: number): number {
  let low = 0
  let high = numbers.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (numbers[middle]! < wanted) low = middle + 1
    else high = middle
  }
  return low
}
