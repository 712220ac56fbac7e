/**
 * A random life of a cluster, and an oracle that knows what really happened: who wrote what when, and which objects a
 * restore needs. It shares nothing with the plan but the archive.
 */
import { segmentName } from '../../src/core/wal-names.ts'
import { FakeArchive, MiB } from './fake-archive.ts'

const HOUR = 3_600_000

export type Step =
  | { readonly do: 'write'; readonly server: number; readonly kilobytes: number; readonly hours: number }
  | { readonly do: 'backup'; readonly server: number; readonly kilobytes: number; readonly hours: number }
  /** A standby is promoted, or a restore to an earlier moment opens: `back` segments behind. */
  | { readonly do: 'fork'; readonly server: number; readonly back: number; readonly parentStops: boolean }
  | { readonly do: 'wait'; readonly hours: number }
  | { readonly do: 'begin backup'; readonly server: number }
  /** Damage, for lives that are not `healthy`. */
  | { readonly do: 'lose segment'; readonly which: number }
  | { readonly do: 'lose part'; readonly which: number }

interface Branch {
  readonly timeline: number
  readonly parent: Branch | undefined
  /** Where it left its parent; where it begins. */
  readonly fork: number
  readonly bornAt: number
  end: number
  /** The first segment that is not yet archived. */
  unarchived: number
  running: boolean
  /** What had been written when, by the server's clock. */
  readonly log: { time: number; end: number }[]
}

interface TakenBackup {
  readonly id: string
  readonly branch: Branch
  readonly start: number
  readonly stop: number
  /** By the server's clock. */
  readonly stoppedAt: number
}

export class Life {
  readonly archive = new FakeArchive(MiB)
  readonly branches: Branch[] = []
  readonly backups: TakenBackup[] = []
  now = Date.UTC(2026, 0, 1)
  readonly #skew: number

  /** @param skewHours how far the servers' clocks are ahead of the archive's. */
  constructor(steps: readonly Step[], skewHours: number) {
    this.#skew = skewHours * HOUR
    const first = { timeline: 1, parent: undefined, fork: MiB, bornAt: this.now, end: MiB + 40, unarchived: 1 }
    this.branches.push({ ...first, running: true, log: [] })
    for (const step of steps) this.#take(step)
  }

  /**
   * Whether a restore along `timeline` to moment `m` (by the servers' clock), as far as the archive ever reached, is
   * possible from these objects. `usable` filters backups.
   */
  restorable(timeline: number, m: number, keys: ReadonlySet<string>, usable = (_: TakenBackup) => true): boolean {
    const branch = this.branches.find((each) => each.timeline === timeline)!
    const target = this.#positionAt(branch, m)
    return this.backups.some(
      (backup) =>
        usable(backup) &&
        backup.stoppedAt <= m &&
        backup.stop <= target &&
        this.#isWhole(backup, keys) &&
        this.#hasWal(branch, backup, target, keys),
    )
  }

  /** Whether a backup lies on the line that leads to the end of a timeline. */
  isOnLineOf(timeline: number, backup: TakenBackup): boolean {
    return this.#line(this.branches.find((each) => each.timeline === timeline)!).some(
      (piece) => piece.branch === backup.branch && backup.stop <= piece.to,
    )
  }

  #take(step: Step): void {
    if (step.do === 'wait') {
      this.now += step.hours * HOUR
    } else if (step.do === 'lose segment' || step.do === 'lose part') {
      const pattern = step.do === 'lose part' ? /part-/ : /\/[0-9A-F]{24}\.zst$/
      const candidates = [...this.archive.objects.keys()].filter((key) => pattern.test(key))
      if (candidates.length > 0) this.archive.delete(candidates[step.which % candidates.length]!)
    } else if (step.do === 'fork') {
      this.#fork(this.#server(step.server), step.back, step.parentStops)
    } else {
      const branch = this.#server(step.server)
      if (step.do === 'write') this.#write(branch, step.kilobytes * 1024, step.hours)
      if (step.do === 'backup') this.#backUp(branch, step.kilobytes * 1024, step.hours)
      if (step.do === 'begin backup') {
        this.archive.unfinishedBackup(branch.timeline, Math.floor(branch.end / MiB), new Date(this.now))
      }
    }
  }

  #server(number: number): Branch {
    const running = this.branches.filter((branch) => branch.running)
    return running[number % running.length]!
  }

  #write(branch: Branch, bytes: number, hours: number): void {
    this.now += hours * HOUR
    branch.end += bytes
    branch.log.push({ time: this.now + this.#skew, end: branch.end })
    this.#archive(branch)
  }

  /** As pg_backup_stop does, it ends the segment. */
  #backUp(branch: Branch, bytes: number, hours: number): void {
    const startedAt = new Date(this.now + this.#skew)
    const start = branch.end
    this.#write(branch, bytes + 200, hours)
    const stop = branch.end
    const stoppedAt = this.now + this.#skew
    branch.end = (Math.floor(stop / MiB) + 1) * MiB + 40
    this.now += 60_000
    this.#archive(branch)
    const id = this.archive.backup({
      timeline: branch.timeline,
      start: BigInt(start),
      stop: BigInt(stop),
      startedAt,
      stoppedAt: new Date(stoppedAt),
      recordedAt: new Date(this.now),
      partSize: 1000,
    })
    this.backups.push({ id, branch, start, stop, stoppedAt })
  }

  #fork(parent: Branch, back: number, parentStops: boolean): void {
    const fork = Math.max(parent.fork + 100, parent.end - back * MiB - 12_345)
    if (fork > parent.end) return
    this.now += HOUR
    const timeline = this.branches.length + 1
    const unarchived = Math.floor(fork / MiB)
    const child = { timeline, parent, fork, bornAt: this.now + this.#skew, end: fork + 100, unarchived }
    this.branches.push({ ...child, running: true, log: [] })
    if (parentStops) parent.running = false
    const line = this.#line(this.branches.at(-1)!).slice(0, -1)
    this.archive.history(
      timeline,
      line.map(({ branch, to }) => ({ timeline: branch.timeline, forkedAt: BigInt(to) })),
      new Date(this.now),
    )
  }

  #archive(branch: Branch): void {
    for (; (branch.unarchived + 1) * MiB <= branch.end; branch.unarchived++) {
      this.archive.segment(branch.timeline, branch.unarchived, new Date(this.now), 1000)
    }
  }

  /** The pieces of WAL that lead to the end of a branch, oldest first, in bytes. */
  #line(branch: Branch): { branch: Branch; from: number; to: number }[] {
    const pieces = [{ branch, from: branch.fork, to: Number.POSITIVE_INFINITY }]
    for (let child = branch; child.parent; child = child.parent) {
      // A child that forked below where its parent began takes nothing of the parent.
      pieces.unshift({ branch: child.parent, from: child.parent.fork, to: child.fork })
    }
    return pieces
  }

  /** How far recovery along a branch to moment `m` gets with everything that was ever archived. */
  #positionAt(branch: Branch, m: number): number {
    const written = branch.log.findLast(({ time }) => time <= m)?.end
    const archived = branch.unarchived * MiB
    if (written !== undefined && archived > branch.fork) return Math.min(written, archived)
    return branch.parent ? Math.min(branch.fork, this.#positionAt(branch.parent, m)) : 0
  }

  #isWhole({ id }: TakenBackup, keys: ReadonlySet<string>): boolean {
    const { layout } = this.archive
    const members = [layout.part(id, 1), layout.manifest(id), layout.files(id), layout.backupRecord(id)]
    return members.every((key) => keys.has(key))
  }

  #hasWal(branch: Branch, backup: TakenBackup, target: number, keys: ReadonlySet<string>): boolean {
    const line = this.#line(branch)
    const first = line.findIndex((piece) => piece.branch === backup.branch)
    if (first < 0 || backup.stop > line[first]!.to) return false
    const archived = (timeline: number, segment: number) =>
      keys.has(this.archive.layout.segment(segmentName(timeline, BigInt(segment), MiB)))
    for (const [index, piece] of line.entries()) {
      if (index < first) continue
      const from = index === first ? backup.start : piece.from
      const to = Math.min(piece.to, target)
      for (let segment = Math.floor(from / MiB); segment * MiB < to; segment++) {
        // The first segment of a later timeline begins as a copy of the earlier one's.
        const later = line.slice(index + 1).filter((next) => Math.floor(next.from / MiB) <= segment)
        if (![piece, ...later].some((each) => archived(each.branch.timeline, segment))) return false
      }
    }
    return true
  }
}
