/**
 * Paths as PostgreSQL's file system has them: bytes, which need not be valid UTF-8. Here each character of such a string
 * stands for one byte (Latin-1), so that comparing, splitting and joining strings is comparing, splitting and joining
 * bytes, and no name is ever changed on its way.
 */
import { isUtf8 } from 'node:buffer'

/** A path or name of which each character is one byte. */
export type BytePath = string

/** From text, such as a setting or an argument. */
export function bytePathOf(text: string): BytePath {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** What `node:fs` takes. */
export function toBytes(path: BytePath): Buffer {
  return Buffer.from(path, 'latin1')
}

/** The text that the bytes are, or undefined if they are not valid UTF-8. */
export function toText(path: BytePath): string | undefined {
  const bytes = toBytes(path)
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined
}

/** For people: text, with a replacement character for what is not UTF-8. */
export function display(path: BytePath): string {
  return toBytes(path).toString('utf8')
}

/** Joins a directory and a name; an empty directory is left away. */
export function join(directory: BytePath, name: BytePath): BytePath {
  if (directory === '') return name
  return directory.endsWith('/') ? directory + name : `${directory}/${name}`
}

/** The directory part of a relative path; empty for a name without one. */
export function parentOf(path: BytePath): BytePath {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}

/** The part after the last slash. */
export function nameOf(path: BytePath): BytePath {
  return path.slice(path.lastIndexOf('/') + 1)
}

/**
 * Why a path must not be used below a directory, or undefined if it is a plain relative path: not empty, not absolute,
 * without NUL and without `.`, `..` and empty components.
 */
export function reasonNotPlain(path: BytePath): string | undefined {
  if (path === '') return 'it is empty'
  if (path.includes('\0')) return 'it contains a NUL byte'
  if (path.startsWith('/')) return 'it is absolute'
  for (const component of path.split('/')) {
    if (component === '') return 'it contains an empty component'
    if (component === '.' || component === '..') return `it contains "${component}"`
  }
  return undefined
}
