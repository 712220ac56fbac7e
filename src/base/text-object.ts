/** Writes a text of unknown length as one compressed object of a backup. */
import type { Codec, Level } from '../codec/codec.ts'
import type { StoredFile } from '../core/backup-record.ts'
import type { ObjectWriter } from './object-writer.ts'

/** Characters that are collected before they are compressed. */
const pieceLength = 256 * 1024

export interface TextObject {
  write(text: string): Promise<void>
  finish(): Promise<StoredFile>
  abandon(reason: unknown): Promise<void>
}

export function openTextObject(writer: ObjectWriter, codec: Codec, level: Level): TextObject {
  const encoder = codec.encoder(level)
  let pending: string[] = []
  let length = 0
  const flush = async () => {
    const piece = Buffer.from(pending.join(''), 'utf8')
    pending = []
    length = 0
    if (piece.length === 0) return
    for (const chunk of await encoder.push(piece)) await writer.write(chunk)
  }
  return {
    async write(text) {
      pending.push(text)
      length += text.length
      if (length >= pieceLength) await flush()
    },
    async finish() {
      await flush()
      for (const chunk of await encoder.finish()) await writer.write(chunk)
      return writer.finish()
    },
    async abandon(reason) {
      encoder.close()
      await writer.abandon(reason)
    },
  }
}
