import { expect, test } from 'vitest'
import { nativeCodec } from '../../src/codec/native.ts'
import { openWasmCodec } from '../../src/codec/wasm.ts'
import { codecContract, decodeWhole } from '../contract/codec.ts'
import { text } from '../contract/samples.ts'
import { stockZstd, testWithStockZstd } from '../contract/stock-zstd.ts'

codecContract('native', { open: async () => nativeCodec, openOther: openWasmCodec, writesChecksum: true })

testWithStockZstd('a window of 128 MiB is read', async () => {
  const plain = text(300_000)
  expect((await decodeWhole(nativeCodec, stockZstd(['-1', '--long=27'], plain), plain.length)).equals(plain)).toBe(true)
})

test('closing an encoder while bytes are on their way rejects the call', async () => {
  const encoder = nativeCodec.encoder(1)
  const pushing = encoder.push(text(5000))
  encoder.close()
  await expect(pushing).rejects.toThrow()
})
