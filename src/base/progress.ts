/** Tells people how far a backup or a restore has come. */
import { formatBytes } from '../core/bytes.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'

export interface ProgressOutput {
  readonly clock: Clock
  readonly log: Log
  readonly showProgress: (line: string) => void
  readonly isTerminal: boolean
}

export interface Progress {
  /** Sets how many bytes there are, once that is known. */
  expect(total: number): void
  add(bytes: number): void
  /** Takes the line off the terminal. */
  end(): void
}

const terminalInterval = 250
const logInterval = 30_000

/** @param verb what is being done: "backed up". */
export function reportProgress(verb: string, { clock, log, showProgress, isTerminal }: ProgressOutput): Progress {
  const started = clock.monotonic()
  const interval = isTerminal ? terminalInterval : logInterval
  let told = started
  let total: number | undefined
  let done = 0
  return {
    expect(bytes) {
      total = bytes
    },
    add(bytes) {
      done += bytes
      const now = clock.monotonic()
      if (now - told < interval) return
      told = now
      const line = `${verb} ${describeProgress(done, total, now - started)}`
      if (isTerminal) showProgress(line)
      else log.info(line)
    },
    end() {
      showProgress('')
    },
  }
}

/** `1.2 GiB of 5 GiB (24%), 210 MiB/s, 18s remaining`. Milliseconds. */
export function describeProgress(done: number, total: number | undefined, elapsed: number): string {
  const rate = elapsed > 0 ? done / (elapsed / 1000) : 0
  const speed = `${formatBytes(Math.round(rate))}/s`
  if (total === undefined || total < done) return `${formatBytes(done)}, ${speed}`
  const percent = total === 0 ? 100 : Math.floor((done / total) * 100)
  const remaining = rate > 0 ? `, ${formatSeconds((total - done) / rate)} remaining` : ''
  return `${formatBytes(done)} of ${formatBytes(total)} (${percent}%), ${speed}${remaining}`
}

/** `42s`, `3m 05s`, `2h 10m`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole}s`
  const two = (value: number) => String(value).padStart(2, '0')
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`
  return `${Math.floor(whole / 3600)}h ${two(Math.floor((whole % 3600) / 60))}m`
}
