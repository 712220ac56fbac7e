/** Divides what a scan finds into parts, each of which can be made on its own. */

import { tarSizeOf } from './part.ts'
import type { ScanEntry } from './scan.ts'

/** Bytes of tar that a part has, unless a single file is larger. */
const partSize = 1024 * 1024 * 1024
/** Most members of a part: what is planned is held in memory. */
const partMembers = 65_536

/** Ranges of the entries, none larger than a part may be, except for one that holds a single larger file. */
export async function* planParts(
  entries: AsyncIterable<ScanEntry>,
  limits = { size: partSize, members: partMembers },
): AsyncGenerator<ScanEntry[]> {
  let part: ScanEntry[] = []
  let size = 0
  for await (const entry of entries) {
    const entrySize = tarSizeOf(entry)
    if (part.length > 0 && (size + entrySize > limits.size || part.length >= limits.members)) {
      yield part
      part = []
      size = 0
    }
    part.push(entry)
    size += entrySize
  }
  if (part.length > 0) yield part
}
