/** Signals from PostgreSQL, the launcher and people. */

/**
 * A process group gets a signal at once with its launcher, which forwards it: what follows so soon is the same signal
 * again, not somebody who has lost patience. Milliseconds.
 */
const sameSignal = 1000

export type Termination = 'SIGINT' | 'SIGTERM'

export interface Signals {
  /** The first signal that arrived. */
  readonly received: () => Termination | undefined
}

/**
 * Calls `interrupted` at the first SIGINT or SIGTERM, so that the command can clean up, and `impatient` at another one
 * that comes later. SIGQUIT keeps ending the process at once.
 */
export function listenForSignals(
  interrupted: (signal: Termination) => void,
  impatient: (signal: Termination) => void,
): Signals {
  let first: { readonly signal: Termination; readonly at: number } | undefined
  const listen = (signal: Termination) => {
    if (first === undefined) {
      first = { signal, at: performance.now() }
      interrupted(signal)
    } else if (performance.now() - first.at > sameSignal) {
      impatient(signal)
    }
  }
  process.on('SIGINT', listen)
  process.on('SIGTERM', listen)
  return { received: () => first?.signal }
}

/** Ends this process by the signal itself, so that whoever waits for it sees that. */
export function dieOf(signal: Termination): never {
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
  // Until the signal is delivered.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
}
