/** Chooses the implementation of zstd that this runtime can be trusted with, and loads only that one. */
import type { Codec } from './codec.ts'

/** Node's own zstd reads several frames in a row from here on; before, it stops silently after the first one. */
const firstTrustedMajor = 26

/** The codec for this runtime: native on Node 26 and later, WebAssembly before. */
export async function openCodec(version: string = process.versions.node): Promise<Codec> {
  if (Number.parseInt(version, 10) >= firstTrustedMajor) return (await import('./native.ts')).nativeCodec
  return (await import('./wasm.ts')).openWasmCodec()
}
