import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import { formatLsn } from '../../src/core/lsn.ts'
import { parseControlFile, readControlFile } from '../../src/postgres/pg-control.ts'
import { type Cluster, createCluster } from '../support/cluster.ts'
import { MAJORS } from '../support/postgres/programs.ts'
import { temporaryDirectory } from '../support/temporary.ts'

/** Everything that we parse, as the server's own functions say it. */
async function asTheServerSays(cluster: Cluster) {
  const [row] = await cluster.query<Record<string, string | number | boolean>>(`
    select system_identifier::text, pg_control_version, redo_lsn::text, bytes_per_wal_segment
    from pg_control_system(), pg_control_checkpoint(), pg_control_init()`)
  return row!
}

describe.each(MAJORS)('pg_control of PostgreSQL %s', (version) => {
  test.each([
    { segmentSize: 1, dataChecksums: false },
    { segmentSize: 64, dataChecksums: true },
  ])('says what the server says: %o', async (options) => {
    const cluster = await createCluster({ version, ...options })
    await cluster.query('checkpoint')
    const server = await asTheServerSays(cluster)
    const control = await readControlFile(cluster.dataDirectory)
    expect(control).toEqual({
      known: true,
      controlVersion: server.pg_control_version,
      systemIdentifier: server.system_identifier,
      state: 'in production',
      checkpointRedo: expect.any(BigInt),
      walSegmentSize: options.segmentSize * 1024 * 1024,
    })
    expect(control.known && formatLsn(control.checkpointRedo)).toBe(server.redo_lsn)
    expect(server.bytes_per_wal_segment).toBe(options.segmentSize * 1024 * 1024)
  })

  test('follows the state from a crash through recovery to a clean end', async () => {
    const cluster = await createCluster({ version })
    await cluster.stop('immediate')
    expect(await readControlFile(cluster.dataDirectory)).toMatchObject({ state: 'in production' })
    writeFileSync(join(cluster.dataDirectory, 'standby.signal'), '')
    await cluster.start()
    expect(await readControlFile(cluster.dataDirectory)).toMatchObject({ state: 'in archive recovery' })
    await cluster.promote()
    expect(await readControlFile(cluster.dataDirectory)).toMatchObject({ state: 'in production' })
    await cluster.stop()
    expect(await readControlFile(cluster.dataDirectory)).toMatchObject({ state: 'shut down' })
  })
})

describe('a control file that is wrong', () => {
  const clock = (onSleep: () => void = () => {}): Clock => ({
    now: () => new Date(0),
    monotonic: () => 0,
    sleep: async () => onSleep(),
  })

  async function realControlFile(): Promise<Buffer> {
    const cluster = await createCluster({ start: false })
    return readFileSync(join(cluster.dataDirectory, 'global/pg_control'))
  }

  function directoryWith(bytes: Uint8Array): string {
    const directory = temporaryDirectory()
    mkdirSync(join(directory, 'global'))
    writeFileSync(join(directory, 'global/pg_control'), bytes)
    return directory
  }

  test('any flipped bit before the checksum is noticed, and none is believed', async () => {
    const original = await realControlFile()
    for (let offset = 0; offset < 296; offset++) {
      if (offset >= 8 && offset < 12) continue // The version: see below.
      const bytes = Buffer.from(original)
      bytes[offset]! ^= 1 << (offset % 8)
      expect(parseControlFile(bytes, 'pg_control'), `offset ${offset}`).toBeUndefined()
    }
    expect(parseControlFile(original, 'pg_control')).toBeDefined()
  })

  test('a torn read is read again', async () => {
    const original = await realControlFile()
    const torn = Buffer.from(original)
    torn.fill(0, 32, 200)
    const directory = directoryWith(torn)
    let sleeps = 0
    const healed = clock(() => {
      sleeps++
      if (sleeps === 3) writeFileSync(join(directory, 'global/pg_control'), original)
    })
    expect(await readControlFile(directory, healed)).toMatchObject({ known: true, state: 'shut down' })
    expect(sleeps).toBe(3)
  })

  test('one that stays wrong is refused', async () => {
    const bytes = await realControlFile()
    bytes[100]! ^= 1
    const failure = readControlFile(directoryWith(bytes), clock())
    await expect(failure).rejects.toMatchObject({ code: 'refused', reason: 'its checksum is wrong' })
  })

  test('of a newer PostgreSQL only the identifier is known', async () => {
    const bytes = await realControlFile()
    const known = parseControlFile(bytes, 'pg_control')!
    bytes.writeUInt32LE(1900, 8)
    expect(parseControlFile(bytes, 'pg_control')).toEqual({
      known: false,
      controlVersion: 1900,
      systemIdentifier: known.systemIdentifier,
    })
  })

  test.each([
    ['an older PostgreSQL', 1201],
    ['another byte order', 0x08070000],
    ['zeroes', 0],
  ])('%s is refused', async (_, version) => {
    const bytes = await realControlFile()
    bytes.writeUInt32LE(version, 8)
    expect(() => parseControlFile(bytes, 'pg_control')).toThrow(`could not read pg_control: its version is ${version}`)
  })

  test('a short file, no file and an unreadable one are three different errors', async () => {
    await expect(readControlFile(directoryWith(Buffer.alloc(100)))).rejects.toMatchObject({
      code: 'refused',
      reason: 'it has 100 bytes',
    })
    await expect(readControlFile(temporaryDirectory())).rejects.toMatchObject({
      code: 'refused',
      reason: 'there is no such file',
    })
    const directory = temporaryDirectory()
    mkdirSync(join(directory, 'global/pg_control'), { recursive: true })
    chmodSync(directory, 0o700)
    await expect(readControlFile(directory)).rejects.toMatchObject({ code: 'local-io' })
  })
})
