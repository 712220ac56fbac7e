/** JSON that was read from an archive, which is not trusted. */
import { FORMAT_VERSION } from './archive-layout.ts'
import { SeawallError } from './errors.ts'

/** A JSON object from the archive. @throws SeawallError `corrupt` */
export function parseObject(text: string, object: string): Record<string, unknown> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw corruptRecord(object, 'it is not JSON', cause)
  }
  if (!isObject(json)) throw corruptRecord(object, 'it is no JSON object')
  return json
}

/** The error for an object that this version is too old to read. */
export function newerFormat(object: string, version: number): SeawallError {
  return new SeawallError('newer-format', {
    operation: 'read',
    object,
    reason: `it has format version ${version}, and this program knows versions up to ${FORMAT_VERSION}`,
    hint: 'Use the version of the program that wrote the archive, or a newer one.',
  })
}

/** The error for a record that is damaged, or of somebody else. */
export function corruptRecord(object: string, reason: string, cause?: unknown): SeawallError {
  return new SeawallError('corrupt', {
    operation: 'read',
    object,
    reason,
    hint: 'The object is damaged or was not written by this program. Restore it from a copy of the archive, or use another backup.',
    cause,
  })
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
