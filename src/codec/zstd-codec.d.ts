/** The part of the package that carries the WebAssembly; it has no types of its own. */
declare module 'zstd-codec/lib/zstd-codec-binding-wasm.js' {
  /** Fills `module` with the binding and calls its `onRuntimeInitialized`. */
  export default function load(module: Record<string, unknown>): void
}
