/** What a key is (the contract says it in words). A bad one is a defect of the caller. */
import { isTemporaryName } from '../core/durable-file.ts'

const printable = /^[\x20-\x7e]+$/

/** @throws TypeError unless `key` names an object */
export function assertKey(key: string): void {
  const segments = key.split('/')
  const valid =
    printable.test(key) && !segments.some((segment) => segment === '' || segment === '.' || segment === '..')
  if (!valid || segments.some(isTemporaryName)) throw new TypeError(`not a key of an object: ${JSON.stringify(key)}`)
}

/** @throws TypeError unless `prefix` is empty, or a key followed by `/` */
export function assertPrefix(prefix: string): void {
  if (prefix === '') return
  if (!prefix.endsWith('/')) throw new TypeError(`not a prefix, which ends in "/": ${JSON.stringify(prefix)}`)
  assertKey(prefix.slice(0, -1))
}
