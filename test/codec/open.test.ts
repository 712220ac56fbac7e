import { expect, test } from 'vitest'
import { openCodec } from '../../src/codec/open.ts'

test('only Node 26 and later are trusted with their own zstd', async () => {
  expect((await openCodec('26.0.0')).name).toBe('native')
  expect((await openCodec('30.1.0')).name).toBe('native')
  expect((await openCodec('24.21.0')).name).toBe('wasm')
  expect((await openCodec('20.19.5')).name).toBe('wasm')
})
