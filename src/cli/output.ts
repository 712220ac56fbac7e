/** Standard output and standard error, written at once, so that nothing is lost when the process ends. */
import { writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import { errno, localIoError } from '../core/errors.ts'

/** Whoever read our standard output has gone away: there is nobody to tell anything. */
export class OutputClosed extends Error {}

/** @throws OutputClosed, SeawallError `local-io` */
export function print(text: string): void {
  try {
    writeFully(1, text, Number.POSITIVE_INFINITY)
  } catch (error) {
    if (errno(error) === 'EPIPE') throw new OutputClosed()
    throw localIoError(
      'print the result to',
      'standard output',
      error,
      'What was to be done is done, unless an error above says otherwise.',
    )
  }
}

export interface ErrorOutput {
  readonly isTerminal: boolean
  /** Writes whole lines, above the passing state if one is shown. */
  readonly writeLines: (text: string) => void
  /** Shows a passing state in place of the last one; nothing if standard error is no terminal. */
  readonly showProgress: (line: string) => void
}

export function errorOutput(): ErrorOutput {
  const isTerminal = isatty(2)
  let shown = ''
  const write = (text: string) => {
    try {
      writeFully(2, text, logPatience)
    } catch {
      // A log that can not be written (its reader gone, its disk full) must not make archiving fail, and there is no
      // other place to say so.
    }
  }
  const show = (line: string) => {
    shown = line
    write(`\r\x1b[K${line.slice(0, (process.stderr.columns || 80) - 1)}`)
  }
  return {
    isTerminal,
    writeLines: (text) => {
      if (shown === '') return write(text)
      const state = shown
      show('')
      write(text)
      show(state)
    },
    showProgress: (line) => {
      if (isTerminal && line !== shown) show(line)
    },
  }
}

/** How long a log line waits for a reader that has stopped: meanwhile no signal is heard. Milliseconds. */
const logPatience = 1000

/**
 * A pipe that somebody made non-blocking says EAGAIN while it is full.
 * @param patience milliseconds after which that is thrown.
 */
function writeFully(descriptor: number, text: string, patience: number): void {
  const bytes = Buffer.from(text)
  const end = performance.now() + patience
  let written = 0
  while (written < bytes.length) {
    try {
      written += writeSync(descriptor, bytes, written)
    } catch (error) {
      if (errno(error) !== 'EAGAIN' || performance.now() > end) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}
