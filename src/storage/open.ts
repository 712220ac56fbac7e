/** From an archive's URL to its storage. The only module that knows the backends; each is loaded when it is used. */
import { SeawallError } from '../core/errors.ts'
import type { Storage } from './storage.ts'

const hint =
  'Name a directory that exists by its absolute path: --archive file:///srv/archive, SEAWALL_ARCHIVE, or "archive" in the configuration file.'

/**
 * @throws SeawallError `usage` for a URL that is missing or not understood, `archive-missing` if there is nothing there
 */
export async function openStorage(url: string | undefined): Promise<Storage> {
  if (url === undefined || url === '') throw wrong('', 'no archive was named')
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(url)?.[1]?.toLowerCase()
  if (scheme === undefined) throw wrong(url, 'it is no URL: expected file:///absolute/path')
  if (scheme !== 'file')
    throw wrong(withoutSecrets(url), `"${scheme}:" is not supported: expected file:///absolute/path`)
  const path = pathOf(url)
  const { openLocal } = await import('./local.ts')
  return openLocal(path)
}

/** The path in `file:///path`: taken literally but for `%xx`, and not normalized as URLs are. */
function pathOf(url: string): string {
  const path = /^file:\/\/(\/.*)$/is.exec(url)?.[1]
  if (path === undefined) {
    throw wrong(url, 'expected three slashes and an absolute path, file:///absolute/path, without a host')
  }
  if (/[?#]/.test(path)) throw wrong(url, 'a file URL has no query and no fragment: write "?" as %3F and "#" as %23')
  let decoded: string
  try {
    decoded = decodeURIComponent(path)
  } catch (error) {
    throw wrong(url, 'a "%" is not followed by the two digits of a character: write a literal "%" as %25', error)
  }
  if (decoded.includes('\0')) throw wrong(url, 'a path cannot contain a zero byte')
  return decoded
}

/** A URL of another scheme may carry a password before `@`, or a token behind `?`. */
function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^/]*@/, '//***@').replace(/[?#].*$/s, '')
}

function wrong(object: string, reason: string, cause?: unknown): SeawallError {
  return new SeawallError('usage', { operation: 'open archive', object, reason, hint, cause })
}
