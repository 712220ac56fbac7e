import { expect } from 'vitest'
import { nativeCodec } from '../../src/codec/native.ts'
import { openWasmCodec } from '../../src/codec/wasm.ts'
import { codecContract, decodeWhole } from '../contract/codec.ts'
import { text } from '../contract/samples.ts'
import { stockZstd, testWithStockZstd } from '../contract/stock-zstd.ts'

codecContract('wasm', { open: openWasmCodec, openOther: async () => nativeCodec, writesChecksum: false })

testWithStockZstd('a window of 8 MiB is read; a larger one is refused, and called no damage', async () => {
  const codec = await openWasmCodec()
  const plain = text(300_000)
  const stored = (log: number) => stockZstd(['-1', `--long=${log}`], plain)
  expect((await decodeWhole(codec, stored(23), plain.length)).equals(plain)).toBe(true)
  await expect(decodeWhole(codec, stored(24), plain.length)).rejects.toMatchObject({
    code: 'refused',
    reason: expect.stringMatching(/window of 16777216 bytes/),
    hint: expect.stringMatching(/Node.js 26/),
  })
})
