/** The user that runs the PostgreSQL servers: ourselves, or an unprivileged one if we are root, whom PostgreSQL refuses. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { userInfo } from 'node:os'

export interface ServersUser {
  readonly name: string
  readonly uid: number
  readonly gid: number
  /** Whether it is not the user who runs this process. */
  readonly change: boolean
}

export function serversUser(): ServersUser {
  const self = userInfo()
  if (self.uid !== 0) return { name: self.username, uid: self.uid, gid: self.gid, change: false }
  const accounts = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = accounts.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { name, uid: Number(uid), gid: Number(gid), change: true }
  }
  throw new Error('PostgreSQL refuses to run as root, and there is neither a user "postgres" nor a user "nobody"')
}

/** What to pass to `spawn` so that the child runs as that user. */
export function asServersUser(): { uid?: number; gid?: number } {
  const { uid, gid, change } = serversUser()
  return change ? { uid, gid } : {}
}

/** Makes everything at and below `path` that user's; a no-op unless we are root. */
export function giveToServersUser(path: string): void {
  const { uid, gid, change } = serversUser()
  if (!change) return
  const chown = spawnSync('chown', ['-R', '-h', `${uid}:${gid}`, path], { stdio: ['ignore', 'ignore', 'pipe'] })
  if (chown.error) throw chown.error
  if (chown.status !== 0) throw new Error(chown.stderr.toString())
}

/** Whether that user can read the file (or enter and list the directory) at `path`; the kernel is asked. */
export function serversUserCanRead(path: string): boolean {
  const test = spawnSync('/bin/sh', ['-c', 'test -r "$1" && { ! test -d "$1" || test -x "$1"; }', 'sh', path], {
    ...asServersUser(),
    cwd: '/',
    stdio: 'ignore',
  })
  if (test.error) throw test.error
  return test.status === 0
}
