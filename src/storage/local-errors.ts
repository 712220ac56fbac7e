/** What a failed system call on the archive's disk means to the reader of the message. */
import { errno, reasonOf, SeawallError } from '../core/errors.ts'

interface Meaning {
  readonly reason: string
  readonly hint: string
  /** Whether the same call may succeed a moment later. */
  readonly transient: boolean
}

const disk = 'Look at the kernel log and the health of the disk.'
const network = 'The archive lies on a network file system: look at the server and the network.'
const busy = 'The machine is short of resources; the same call may succeed in a moment.'
const permission =
  'The user that PostgreSQL runs as must be able to read and write the whole archive: check owner and mode of the directories on the way.'
const foreign = 'Something that this program did not write lies in the archive: look at it, and move it away.'

const meanings: { readonly [errno: string]: Meaning } = {
  ENOSPC: {
    reason: 'no space left on the disk',
    hint: 'Free space on the disk of the archive, or shorten the recovery window and run wal-prune. PostgreSQL keeps its WAL meanwhile.',
    transient: true,
  },
  EDQUOT: {
    reason: 'the disk quota is used up',
    hint: 'Raise the quota, or shorten the recovery window and run wal-prune. PostgreSQL keeps its WAL meanwhile.',
    transient: true,
  },
  EROFS: {
    reason: 'the file system is read-only',
    hint: 'Look at the mount options; the kernel also remounts a disk read-only after an I/O error, and says so in its log.',
    transient: false,
  },
  EACCES: { reason: 'permission denied', hint: permission, transient: false },
  EPERM: { reason: 'operation not permitted', hint: permission, transient: false },
  EIO: { reason: 'input/output error', hint: disk, transient: true },
  EUCLEAN: { reason: 'the file system is damaged', hint: disk, transient: false },
  ENAMETOOLONG: {
    reason: 'the path is too long for the file system',
    hint: 'Use a shorter cluster name, or a shorter path for the archive.',
    transient: false,
  },
  ENOTDIR: { reason: 'a file stands where a directory should be', hint: foreign, transient: false },
  EISDIR: { reason: 'a directory stands where a file should be', hint: foreign, transient: false },
  ELOOP: { reason: 'it is a symbolic link', hint: foreign, transient: false },
  ESTALE: { reason: 'stale file handle', hint: network, transient: true },
  ETIMEDOUT: { reason: 'the file server does not answer', hint: network, transient: true },
  EHOSTDOWN: { reason: 'the file server is down', hint: network, transient: true },
  ENOTCONN: { reason: 'the file server is not connected', hint: network, transient: true },
  EREMOTEIO: { reason: 'input/output error on the file server', hint: network, transient: true },
  EAGAIN: { reason: 'resource temporarily unavailable', hint: busy, transient: true },
  EBUSY: { reason: 'resource busy', hint: busy, transient: true },
  EINTR: { reason: 'interrupted system call', hint: busy, transient: true },
  EMFILE: { reason: 'too many open files in this process', hint: busy, transient: true },
  ENFILE: { reason: 'too many open files on this machine', hint: busy, transient: true },
  ENOMEM: { reason: 'out of memory', hint: busy, transient: true },
  ENOLCK: { reason: 'no locks available', hint: busy, transient: true },
}

/**
 * The error for a failed system call.
 * @param operation as an infinitive.
 * @param path what it was done to.
 */
export function archiveIoError(operation: string, path: string, error: unknown): SeawallError {
  const meaning = meanings[errno(error) ?? '']
  return new SeawallError('archive-io', {
    operation,
    object: path,
    reason: meaning?.reason ?? reasonOf(error),
    hint: meaning?.hint ?? disk,
    transient: meaning?.transient ?? false,
    cause: error,
  })
}

/** The error for something in the archive that is not what this program puts there. */
export function foreignEntry(operation: string, path: string, reason: string): SeawallError {
  return new SeawallError('archive-io', { operation, object: path, reason, hint: foreign })
}

/** The error for an object that did not keep its bytes. */
export function changedObject(operation: string, path: string, reason: string): SeawallError {
  return new SeawallError('archive-io', {
    operation,
    object: path,
    reason,
    hint: 'Objects never change once they are written: find out what else writes or deletes in the archive.',
  })
}

/** The error for a file system that lacks what create-only writing needs. */
export function noHardLinks(path: string, error: unknown): SeawallError {
  return new SeawallError('archive-io', {
    operation: 'publish',
    object: path,
    reason: `its file system has no hard links (link(2) says ${errno(error)}), so nothing can be created there without the danger of overwriting`,
    hint: 'Put the archive on a file system with hard links, such as ext4, XFS, Btrfs, ZFS or NFS; FAT, exFAT and many FUSE file systems have none.',
    cause: error,
  })
}

/** The first error, with what failed while it was being cleaned up after. */
export function withSecondary(error: unknown, secondary: unknown): unknown {
  if (!(error instanceof SeawallError)) return new AggregateError([error, secondary], reasonOf(error))
  const { operation, object, reason, hint, transient, detail } = error
  const added = `and then ${reasonOf(secondary)}`
  return new SeawallError(error.code, {
    operation,
    object,
    reason,
    detail: detail === undefined ? added : `${detail}; ${added}`,
    hint,
    transient,
    cause: error.cause,
  })
}
