/** Small file systems of their own, for tests of full and read-only disks. */
import { spawnSync } from 'node:child_process'
import { serversUser } from './servers-user.ts'
import { onCleanUp, temporaryDirectory } from './temporary.ts'

/** Only root may mount. */
export const canMount = process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0

/** An empty tmpfs of that size (`3m`) on a directory, which belongs to the user of the servers; unmounted at the end. */
export function mountSmall(size: string, directory = temporaryDirectory()): string {
  const { uid, gid } = serversUser()
  mount(['-t', 'tmpfs', '-o', `size=${size},uid=${uid},gid=${gid},mode=0700`, 'tmpfs', directory])
  onCleanUp(() => {
    const result = spawnSync('umount', [directory], { encoding: 'utf8' })
    if (result.status !== 0) throw new Error(`umount ${directory}: ${result.stderr}`)
  })
  return directory
}

export function remountReadOnly(directory: string): void {
  mount(['-o', 'remount,ro', directory])
}

function mount(args: readonly string[]): void {
  const result = spawnSync('mount', args, { encoding: 'utf8' })
  if (result.status !== 0) throw new Error(`mount ${args.join(' ')}: ${result.stderr}`)
}
