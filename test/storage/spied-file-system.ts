/** The real file system, with a look at every call, and calls that fail on demand. */
import * as nodeFileSystem from 'node:fs/promises'
import type { FileSystem } from '../../src/storage/local-root.ts'

export interface Call {
  /** `open`, `link` … of the file system; `write`, `sync`, `close` … of a file, and `fstat` for its `stat`. */
  readonly operation: string
  readonly path: string
}

/** Throws to make the call fail instead of doing it (a `close` is done all the same); may do something first. */
export type Hook = (call: Call) => void | Promise<void>

export function spiedFileSystem(hook: Hook): FileSystem {
  const spied =
    (operation: string, method: (...values: never[]) => Promise<unknown>) =>
    async (...values: unknown[]) => {
      // link(2) is known by the name that it makes.
      await hook({ operation, path: String(values[operation === 'link' ? 1 : 0]) })
      const result = await method(...(values as never[]))
      return operation === 'open' ? spiedFile(result as nodeFileSystem.FileHandle, String(values[0]), hook) : result
    }
  const { link, lstat, mkdir, open, readdir, rmdir, stat, unlink } = nodeFileSystem
  const methods = { link, lstat, mkdir, open, readdir, rmdir, stat, unlink }
  return Object.fromEntries(
    Object.entries(methods).map(([operation, method]) => [operation, spied(operation, method)]),
  ) as unknown as FileSystem
}

function spiedFile(file: nodeFileSystem.FileHandle, path: string, hook: Hook): nodeFileSystem.FileHandle {
  return new Proxy(file, {
    get(target, name) {
      const member = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return async (...values: unknown[]) => {
        if (name === 'close') await target.close()
        await hook({ operation: name === 'stat' ? 'fstat' : String(name), path })
        if (name !== 'close') return Reflect.apply(member, target, values)
      }
    },
  })
}

/** The error that a system call gives. */
export function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), { code })
}
