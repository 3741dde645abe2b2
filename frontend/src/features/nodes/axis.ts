import type { NodeStatus, Revision } from '@/api/types'
import { marks, tones } from './strip'
import type { StripAxis } from './Strip'

const MINUTE = 60_000
const SPANS = [2, 5, 10, 15, 30, 60].map((m) => m * MINUTE)

/** A pixel of a strip is about 3 s: a finer step than this repaints for nothing. */
const STEP = 2000
export const axisEnd = (now: number): number => Math.ceil(now / STEP) * STEP

/**
 * stripAxis ends at `to` and chooses how far the strips reach back: as far as there is
 * something to see, at most an hour, so that a mesh of five minutes is not a
 * sliver at the right edge.
 */
export function stripAxis(nodes: readonly NodeStatus[], desired: Revision | null, to: number): StripAxis {
  let first = to
  for (const n of nodes) {
    const t = n.history[0]
    if (t) first = Math.min(first, Date.parse(t.at))
  }
  const span = SPANS.find((s) => to - first <= s) ?? 30 * MINUTE
  const window = { from: to - span, to }
  const histories = nodes.map((n) => n.history)
  return { window, marks: marks(histories, window, desired), tone: tones(histories, desired?.number ?? 0) }
}

/** newestBuild is the highest build among the nodes: others are marked. */
export function newestBuild(nodes: readonly NodeStatus[]): string {
  let best = ''
  for (const n of nodes) if (n.build && compareBuilds(n.build, best) > 0) best = n.build
  return best
}

/** compareBuilds compares dotted numbers by number: 1.10 is newer than 1.9, and 1.8.0 than 1.8.0-rc1. */
export function compareBuilds(a: string, b: string): number {
  const parts = (s: string) => s.replace(/^v/, '').split(/[.+-]/)
  const [x, y] = [parts(a), parts(b)]
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    const d = comparePart(x[i], y[i])
    if (d !== 0) return d
  }
  return 0
}

function comparePart(p: string | undefined, q: string | undefined): number {
  const number = (s: string | undefined) => s !== undefined && /^\d+$/.test(s)
  if (number(p) && number(q)) return Number(p) - Number(q)
  // The end of the name beats a word ("rc1"), but not a further number.
  if (p === undefined) return number(q) ? -1 : q ? 1 : 0
  if (q === undefined) return number(p) ? 1 : p ? -1 : 0
  return p < q ? -1 : p > q ? 1 : 0
}
