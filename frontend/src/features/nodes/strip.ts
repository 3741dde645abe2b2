import type { NodeState, Transition } from '@/api/types'

/** Segment is a stretch of time in which a node stayed in one state on one revision. */
export type Segment = { from: number; to: number; state: NodeState; revision: number; note?: string }

/** Window is a stretch of time in ms since the epoch. */
export type Window = { from: number; to: number }

/**
 * segments turns a node's transitions (oldest first; the first may lie before
 * the window) into stretches inside the window. Before the first transition
 * nothing is known, and nothing is made up.
 */
export function segments(history: readonly Transition[], { from, to }: Window): Segment[] {
  const out: Segment[] = []
  for (let i = 0; i < history.length; i++) {
    const t = history[i]!
    const next = history[i + 1]
    const a = Math.max(from, Date.parse(t.at))
    const b = Math.min(to, next ? Date.parse(next.at) : to)
    if (!(b > a)) continue
    const last = out[out.length - 1]
    if (last && last.state === t.state && last.revision === t.revision && last.to === a) last.to = b
    else out.push({ from: a, to: b, state: t.state, revision: t.revision, ...(t.note ? { note: t.note } : {}) })
  }
  return out
}

/** Mark is the moment at which a revision began to spread. */
export type Mark = { at: number; revision: number }

/**
 * marks finds when each revision first appeared on any node inside the window:
 * the blue lines. The desired revision's own time is exact and wins.
 */
export function marks(histories: Iterable<readonly Transition[]>, window: Window, desired?: { number: number; at: string } | null): Mark[] {
  const first = new Map<number, number>()
  for (const history of histories) {
    for (let i = 0; i < history.length; i++) {
      const t = history[i]!
      // What a node ran when it was first seen says nothing about when that revision was made.
      if (i === 0 || t.revision <= (history[i - 1]?.revision ?? 0)) continue
      const at = Date.parse(t.at)
      const known = first.get(t.revision)
      if (known === undefined || at < known) first.set(t.revision, at)
    }
  }
  if (desired) first.set(desired.number, Date.parse(desired.at))
  return [...first]
    .map(([revision, at]) => ({ revision, at }))
    .filter((m) => m.at >= window.from && m.at <= window.to)
    .sort((a, b) => a.at - b.at)
}

const TONES = [0.92, 0.6, 0.42, 0.3, 0.22]

/** tones gives each revision its strength: the newest is strongest, old ones fade. */
export function tones(histories: Iterable<readonly Transition[]>, desired: number): Map<number, number> {
  const seen = new Set<number>([desired])
  for (const history of histories) for (const t of history) if (t.revision > 0) seen.add(t.revision)
  const newestFirst = [...seen].sort((a, b) => b - a)
  return new Map(newestFirst.map((r, i) => [r, TONES[Math.min(i, TONES.length - 1)]!]))
}

/** Line is one thin strip of a folded group: the node it draws and how many it stands for. */
export type Line = { id: string; segments: Segment[]; stands: number }

/**
 * foldLines keeps the most telling nodes as lines of their own and folds the
 * rest into them. Most telling: those with the most time out of sync in the
 * window, then those whose last push took longest.
 */
export function foldLines(
  nodes: readonly { id: string; history: readonly Transition[]; push: { applied_ms: number | null } }[],
  window: Window,
  room: number,
): { lines: Line[]; folded: number } {
  const scored = nodes.map((n) => {
    const segs = segments(n.history, window)
    let odd = 0
    for (const s of segs) if (s.state !== 'synced' && s.state !== 'in-flight') odd += s.to - s.from
    return { id: n.id, segs, odd, applied: n.push.applied_ms ?? 0 }
  })
  scored.sort((a, b) => b.odd - a.odd || b.applied - a.applied || (a.id < b.id ? -1 : 1))
  const kept = scored.slice(0, Math.max(1, room))
  const folded = scored.length - kept.length
  // Back to name order, so that lines keep their place while their scores move.
  kept.sort((a, b) => (a.id < b.id ? -1 : 1))
  const share = kept.length ? folded / kept.length : 0
  return { lines: kept.map((k) => ({ id: k.id, segments: k.segs, stands: 1 + share })), folded }
}

/** roomFor says how many lines a group of n nodes gets: all up to 6, then slower and slower. */
export function roomFor(n: number): number {
  return n <= 6 ? n : Math.min(12, Math.round(6 + Math.log2(n / 6) * 1.4))
}
