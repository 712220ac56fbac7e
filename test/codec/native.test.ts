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

test('closing while bytes are on their way rejects the call', async () => {
  const decoder = nativeCodec.decoder({ object: 'the/key', maxSize: 5000 })
  const pushing = decoder.push(nativeCodec.compress(text(5000), 1))
  decoder.close()
  await expect(pushing).rejects.toThrow()
})
