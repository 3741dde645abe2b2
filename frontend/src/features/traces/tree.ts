import type { Span, Trace } from '@/api/types'

/**
 * A trace as typed arrays. Spans lie in pre-order, so a subtree is the stretch
 * from its root to `end`: folding skips ahead, and listing the visible rows of
 * a trace of 80 000 spans is one pass without an object.
 */
export type SpanTree = {
  readonly size: number
  readonly spans: readonly Span[]
  /** Index after the last span of i's subtree. */
  readonly end: Uint32Array
  /** -1 for roots. */
  readonly parent: Int32Array
  readonly depth: Uint16Array
  /** Depth when the spans inside a hop are left out. */
  readonly shallow: Uint16Array
  readonly flags: Uint8Array
  /** Errors inside the subtree, itself included. */
  readonly errors: Uint32Array
  /** Where the trouble began: failed spans none of whose children failed, in order of time. */
  readonly origins: readonly number[]
  readonly index: ReadonlyMap<string, number>
  readonly duration_us: number
}

export const CRITICAL = 1
export const ERROR = 2
export const ORIGIN = 4
export const ATTEMPT = 8
export const SIDECAR = 16
export const ORPHAN = 32
export const HEDGE = 64
/** Part of a call that an earlier span stands for. */
export const INNER = 128

/** buildTree reads a trace; spans come in pre-order, parents before children. */
export function buildTree(trace: Trace): SpanTree {
  const { spans } = trace
  const n = spans.length
  const end = new Uint32Array(n)
  const parent = new Int32Array(n).fill(-1)
  const depth = new Uint16Array(n)
  const shallow = new Uint16Array(n)
  const flags = new Uint8Array(n)
  const errors = new Uint32Array(n)
  const index = new Map<string, number>()
  const critical = new Set(trace.critical_path)

  // Parents follow from depth alone: a stack of the open ancestors.
  const open: number[] = []
  let last = 0
  for (let i = 0; i < n; i++) {
    const s = spans[i]!
    index.set(s.span_id, i)
    while (open.length > 0 && depth[open[open.length - 1]!]! >= s.depth) end[open.pop()!] = i
    parent[i] = open.length > 0 ? open[open.length - 1]! : -1
    depth[i] = s.depth
    flags[i] =
      (critical.has(s.span_id) ? CRITICAL : 0) |
      (s.status === 'error' ? ERROR : 0) |
      (s.role === 'attempt' || s.role === 'hedge' ? ATTEMPT : 0) |
      (s.role === 'hedge' ? HEDGE : 0) |
      (s.role ? SIDECAR : 0) |
      (s.hop === s.span_id || parent[i]! < 0 ? 0 : INNER)
    shallow[i] = parent[i]! < 0 ? 0 : shallow[parent[i]!]! + (flags[parent[i]!]! & INNER ? 0 : 1)
    open.push(i)
    last = Math.max(last, s.start_us + s.duration_us)
  }
  while (open.length > 0) end[open.pop()!] = n

  const origins: number[] = []
  for (let i = n - 1; i >= 0; i--) {
    const own = flags[i]! & ERROR ? 1 : 0
    if (own && errors[i] === 0) {
      flags[i]! |= ORIGIN
      origins.push(i)
    }
    errors[i]! += own
    if (parent[i]! >= 0) errors[parent[i]!]! += errors[i]!
    else if (spans[i]!.parent_id) flags[i]! |= ORPHAN
  }
  origins.sort((a, b) => spans[a]!.start_us - spans[b]!.start_us)
  return { size: n, spans, end, parent, depth, shallow, flags, errors, origins, index, duration_us: Math.max(trace.duration_ms * 1000, last, 1) }
}

/** attribute reads one attribute of a span. */
export function attribute(s: Span, key: string): string | undefined {
  for (const a of s.attributes) if (a.key === key) return a.value
  return undefined
}

/**
 * visibleRows writes the indexes of the rows that folding leaves visible into
 * out (at least size long) and returns how many there are. By hop, a call is
 * one row, however many spans tell of it.
 */
export function visibleRows(tree: SpanTree, folded: Uint8Array, out: Uint32Array, byHop = false): number {
  let n = 0
  for (let i = 0; i < tree.size; ) {
    if (!byHop || !(tree.flags[i]! & INNER)) out[n++] = i
    i = folded[i] ? tree.end[i]! : i + 1
  }
  return n
}

/** hasChildren tells whether a row can be folded. */
export const hasChildren = (tree: SpanTree, i: number): boolean => tree.end[i]! > i + 1

/** reveal unfolds every ancestor of i. It returns whether anything changed. */
export function reveal(tree: SpanTree, folded: Uint8Array, i: number): boolean {
  let changed = false
  for (let p = tree.parent[i]!; p >= 0; p = tree.parent[p]!) {
    if (folded[p]) changed = true
    folded[p] = 0
  }
  return changed
}

/** foldToDepth folds everything below depth d. */
export function foldToDepth(tree: SpanTree, folded: Uint8Array, d: number): void {
  for (let i = 0; i < tree.size; i++) folded[i] = tree.depth[i]! >= d && hasChildren(tree, i) ? 1 : 0
}

/** foldQuiet folds every subtree without an error, and opens the way to each error. */
export function foldQuiet(tree: SpanTree, folded: Uint8Array): void {
  for (let i = 0; i < tree.size; i++) folded[i] = tree.errors[i] === 0 && hasChildren(tree, i) ? 1 : 0
}

/** ancestry lists i's ancestors from the root down, i itself last. */
export function ancestry(tree: SpanTree, i: number): number[] {
  const out: number[] = []
  for (let p = i; p >= 0; p = tree.parent[p]!) out.push(p)
  return out.reverse()
}
