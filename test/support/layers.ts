/** The layers of src/: who may import whom. Reads sources as text, so that planted ones can be checked too. */
import { posix } from 'node:path'

/** Sources by path, such as `src/core/lsn.ts`. */
export type Sources = Readonly<Record<string, string>>

/** What those who are handed a storage see of it. */
const STORAGE_CONTRACT = ['storage/storage.ts', 'storage/read-whole.ts']

/** What each layer may import: whole layers, or single files of one. */
const LAYERS: Record<string, readonly string[]> = {
  cli: ['commands', 'storage/open.ts', 'storage/read-only.ts', 'codec/open.ts', 'core'],
  commands: [
    ...['wal', 'base', 'retention', 'archive', 'postgres', 'core'],
    ...['storage/open.ts', 'storage/read-only.ts', ...STORAGE_CONTRACT, 'codec/open.ts', 'codec/codec.ts'],
  ],
  wal: ['archive', ...STORAGE_CONTRACT, 'codec/codec.ts', 'postgres', 'core'],
  base: ['archive', ...STORAGE_CONTRACT, 'codec/codec.ts', 'postgres', 'core'],
  retention: ['archive', ...STORAGE_CONTRACT, 'core'],
  archive: [...STORAGE_CONTRACT, 'codec/codec.ts', 'core'],
  storage: ['core'],
  codec: ['core'],
  postgres: ['core'],
  core: [],
}

/** Every broken rule, one line each. */
export function brokenRules(sources: Sources): string[] {
  const graph = new Map<string, string[]>()
  const broken: string[] = []
  for (const [path, source] of Object.entries(sources)) {
    const code = withoutComments(source)
    const imports = importsOf(code)
    const local = imports.filter((name) => name.startsWith('.')).map((name) => posix.join(posix.dirname(path), name))
    graph.set(path, local)
    for (const target of local) {
      if (!mayImport(path, target)) broken.push(`${path} must not import ${target}`)
    }
    for (const name of bareImportsOf(code)) broken.push(`${path} imports ${name} for a side effect`)
    if (layerOf(path) !== 'cli') {
      for (const use of processUsesOf(code)) broken.push(`${path} uses ${use}, which belongs to src/cli`)
    }
  }
  return [...broken, ...cyclesOf(graph)]
}

/** `core` for `src/core/lsn.ts`. */
function layerOf(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1]
}

function mayImport(path: string, target: string): boolean {
  const layer = layerOf(path) ?? ''
  const targetLayer = layerOf(target)
  if (target === 'package.json') return path === 'src/cli/version.ts'
  if (targetLayer === undefined || !(layer in LAYERS)) return false
  return (
    layer === targetLayer || LAYERS[layer]!.some((allowed) => `src/${allowed}` === target || allowed === targetLayer)
  )
}

/** What a module imports: statically, as a type, dynamically, or to export it again. */
function importsOf(code: string): string[] {
  return [
    ...code.matchAll(/\bfrom\s*(['"])(?<name>[^'"\n]+)\1/g),
    ...code.matchAll(/\bimport\s*\(?\s*(['"`])(?<name>[^'"`\n]+)\1/g),
    ...code.matchAll(/\brequire\s*\(\s*(['"`])(?<name>\.[^'"`\n]+)\1/g),
  ].map((match) => match.groups!.name!)
}

function bareImportsOf(code: string): string[] {
  return [...code.matchAll(/\bimport\s*(['"])([^'"\n]+)\1/g)].map((match) => match[2]!)
}

function processUsesOf(code: string): string[] {
  return [
    ...code.matchAll(/\bprocess\s*\??\.\s*(?:argv|env|exit|exitCode|stdin|stdout|stderr)\b/g),
    ...code.matchAll(/\bprocess\s*\[/g),
    ...code.matchAll(/['"](?:node:)?process['"]/g),
    ...code.matchAll(/\{[^{}]*\}\s*=\s*(?:globalThis\.)?process\b/g),
    ...code.matchAll(/\bconsole\s*\./g),
  ].map((match) => match[0])
}

function withoutComments(source: string): string {
  return source.replace(
    /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (match) => (match.startsWith('/') ? ' ' : match),
  )
}

/** Each cycle once, as `a -> b -> a`. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles: string[] = []
  const finished = new Set<string>()
  const visit = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path)
    if (start >= 0) cycles.push([...trail.slice(start), path].join(' -> '))
    if (start >= 0 || finished.has(path)) return
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path])
    finished.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  return cycles
}
