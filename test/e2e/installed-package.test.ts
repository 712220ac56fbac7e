import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createArchive } from '../support/archive.ts'
import { createCluster } from '../support/cluster.ts'
import { install } from '../support/installation.ts'
import { run } from '../support/processes.ts'
import { temporaryDirectory } from '../support/temporary.ts'

test('the packed package, installed by npm, archives through the links npm makes and on its own runtime', async () => {
  const place = temporaryDirectory()
  const installed = install(place)
  for (const directory of ['src', 'test', 'scripts']) expect(existsSync(join(installed, directory))).toBe(false)

  // Nothing but what a POSIX system has: no node.
  const tools = join(temporaryDirectory(), 'tools')
  mkdirSync(tools)
  for (const tool of ['readlink', 'sh']) symlinkSync(`/usr/bin/${tool}`, join(tools, tool))
  const links = join(place, 'node_modules/.bin')
  for (const executable of ['wal-push', 'wal-fetch', 'wal-prune', 'base-push', 'base-fetch']) {
    const version = await run([join(links, executable), '--version'], { env: { PATH: tools } })
    expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(`^${executable} .*\\d+\\.\\d+\\.\\d+\n$`) })
  }

  const archive = createArchive()
  const cluster = await createCluster({
    settings: { archive_mode: 'on', archive_command: `${links}/wal-push --config ${archive.config} %p` },
    environment: { PATH: tools },
  })
  await cluster.waitUntilArchived(await cluster.switchWal())
  expect(await cluster.value('select failed_count::int from pg_stat_archiver')).toBe(0)
})
