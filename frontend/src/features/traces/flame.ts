import { ERROR } from './tree'
import type { SpanTree } from './tree'

/**
 * A flame graph of own time: spans of one way down (service and operation of
 * every ancestor) are one frame. A frame is as wide as the own time below it,
 * so calls side by side add up instead of hiding each other.
 */
export type Flame = {
  readonly frames: readonly Frame[]
  /** Own time of the whole trace. */
  readonly total_us: number
  readonly depth: number
}

export type Frame = {
  readonly service: string
  readonly operation: string
  readonly depth: number
  readonly parent: number
  /** Spans that are one frame. */
  readonly spans: number
  readonly errors: number
  readonly self_us: number
  /** Where it begins, and how wide it is, in µs of own time. */
  readonly x: number
  readonly width: number
  /** Its first span, to go to. */
  readonly first: number
}

/** A trace of one span a level would be deeper than anybody can read. */
export const DEEPEST = 200

/** flameOf folds a trace's spans; frames come parents first. */
export function flameOf(tree: SpanTree): Flame {
  type Draft = { -readonly [K in keyof Frame]: Frame[K] }
  const drafts: Draft[] = []
  const children: Map<string, number>[] = []
  const roots = new Map<string, number>()
  const frameOf = new Int32Array(tree.size)
  for (let i = 0; i < tree.size; i++) {
    const s = tree.spans[i]!
    const above = tree.parent[i]! < 0 ? -1 : frameOf[tree.parent[i]!]!
    const depth = above < 0 ? 0 : drafts[above]!.depth + 1
    let at: number | undefined
    if (depth >= DEEPEST) at = above
    else {
      const siblings = above < 0 ? roots : children[above]!
      const key = `${s.service}\n${s.operation}`
      at = siblings.get(key)
      if (at === undefined) {
        at = drafts.length
        siblings.set(key, at)
        drafts.push({ service: s.service, operation: s.operation, depth, parent: above, spans: 0, errors: 0, self_us: 0, x: 0, width: 0, first: i })
        children.push(new Map())
      }
    }
    const d = drafts[at]!
    frameOf[i] = at
    d.spans++
    d.errors += tree.flags[i]! & ERROR ? 1 : 0
    d.self_us += s.self_us
  }
  for (let i = drafts.length - 1; i >= 0; i--) {
    const d = drafts[i]!
    d.width += d.self_us
    if (d.parent >= 0) drafts[d.parent]!.width += d.width
  }
  let total = 0
  // The widest first, so that the eye finds it at the left.
  const widest = (ids: Iterable<number>) => [...ids].sort((a, b) => drafts[b]!.width - drafts[a]!.width || a - b)
  for (const r of widest(roots.values())) {
    drafts[r]!.x = total
    total += drafts[r]!.width
  }
  let depth = 0
  for (const [i, d] of drafts.entries()) {
    depth = Math.max(depth, d.depth + 1)
    let x = d.x
    for (const c of widest(children[i]!.values())) {
      drafts[c]!.x = x
      x += drafts[c]!.width
    }
  }
  return { frames: drafts, total_us: total, depth }
}

/** frameAt finds the frame at a place: µs of own time, and depth. */
export function frameAt(flame: Flame, x: number, depth: number): number {
  return flame.frames.findIndex((f) => f.depth === depth && x >= f.x && x < f.x + f.width)
}
