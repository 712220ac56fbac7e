/** `wal-push PATH`: PostgreSQL's archive_command. */
import path from 'node:path'
import { openRememberedArchives } from '../archive/remembered-archives.ts'
import { openCodec } from '../codec/open.ts'
import { SeawallError } from '../core/errors.ts'
import { parseWalFileName, type WalFile } from '../core/wal-names.ts'
import { openStorage } from '../storage/open.ts'
import { pushWalFile } from '../wal/push.ts'
import { type Command, exitCodesOf, WRITER_ERRORS } from './command.ts'
import { findLocalCluster, layoutByDataDirectory } from './data-directory-cluster.ts'
import { levelOf, WRITER_OPTIONS } from './options.ts'

const options = [...WRITER_OPTIONS, 'system-id'] as const

export const walPush: Command<(typeof options)[number]> = {
  name: 'wal-push',
  summary: 'Make one WAL file durable in the archive (archive_command)',
  positionals: [{ name: 'PATH', describe: 'The WAL file: %p in archive_command' }],
  options,
  exitCodes: [
    { exit: '0', meaning: 'the file is durable in the archive, with exactly this content' },
    ...exitCodesOf(...WRITER_ERRORS),
  ],
  examples: ["archive_command = '/usr/local/bin/wal-push --archive file:///backup %p'"],

  async run(context, values, [given]) {
    const file = walFileOf(given!)
    const absolute = path.resolve(context.cwd, given!)
    const local = await findLocalCluster(values.pgdata, absolute, context.cwd)
    const layout = layoutByDataDirectory(values, local)
    if (!layout) throw noDataDirectory(given!)
    const [storage, codec, remembered] = await Promise.all([
      openStorage(values.archive),
      openCodec(),
      openRememberedArchives({ configured: values['state-dir'], ...context }),
    ])
    await pushWalFile(
      {
        path: absolute,
        file,
        segmentSize: local?.control.known ? local.control.walSegmentSize : undefined,
        codec,
        level: levelOf(values, codec),
        claim: {
          storage,
          layout,
          remembered,
          createArchive: values['create-archive'],
          dataDirectory: local?.dataDirectory,
          uid: context.uid,
          log: context.log,
        },
      },
      { signal: context.signal, onProgress: context.progressed },
    )
    return 'done'
  },
}

function walFileOf(given: string): WalFile {
  const file = parseWalFileName(path.basename(given))
  if (file) return file
  throw new SeawallError('usage', {
    operation: 'archive',
    object: given,
    reason: 'its name is not that of a WAL segment, a timeline history or a backup history file',
    hint: "Call it as archive_command = 'wal-push %p', with %p and not %f.",
  })
}

function noDataDirectory(given: string): SeawallError {
  return new SeawallError('usage', {
    operation: 'archive',
    object: given,
    reason: 'it does not lie in the pg_wal directory of a data directory, so that its cluster is not known',
    hint: given.includes('/')
      ? 'Name the data directory with --pgdata, or the cluster with --system-id.'
      : 'archive_command must pass %p, not %f. For a file elsewhere, name the data directory with --pgdata, or the cluster with --system-id.',
  })
}
