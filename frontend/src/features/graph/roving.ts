import type { Point } from '@/graph/geometry'
import type { Model } from '@/graph/model'

/**
 * Where an arrow key leads. From a node right and left lead onto its edges,
 * from an edge on to its ends; up and down change between the edges of one
 * node, or between nodes of a column. Null: the key leads nowhere.
 */
export function step(key: string, from: string, model: Model, positions: ReadonlyMap<string, Point>): string | null {
  switch (key) {
    case 'ArrowRight':
    case 'ArrowLeft':
      return sideways(key === 'ArrowRight', from, model, positions)
    case 'ArrowDown':
    case 'ArrowUp':
      return updown(key === 'ArrowDown' ? 1 : -1, from, model, positions)
    case 'Home':
      return order(positions)[0] ?? null
    case 'End':
      return order(positions).at(-1) ?? null
    default:
      return null
  }
}

function sideways(right: boolean, from: string, model: Model, positions: ReadonlyMap<string, Point>): string | null {
  const edge = model.edges.get(from)
  if (edge) return right ? edge.target : edge.source
  const list = right ? model.outgoing.get(from) : model.incoming.get(from)
  const ends = (list ?? []).filter((e) => positions.has(e.source) && positions.has(e.target))
  // The middle one first: it goes straight on.
  const sorted = ends.sort((a, b) => farY(a, right, positions) - farY(b, right, positions))
  const own = positions.get(from)?.y ?? 0
  let best = sorted[0]
  for (const e of sorted) {
    if (best && Math.abs(farY(e, right, positions) - own) < Math.abs(farY(best, right, positions) - own)) best = e
  }
  return best?.id ?? null
}

/** How far apart nodes of one column may stand, and what is farther than any column is long. */
const column = 100
const elsewhere = 1e6

function updown(by: 1 | -1, from: string, model: Model, positions: ReadonlyMap<string, Point>): string | null {
  const edge = model.edges.get(from)
  if (edge) {
    const mates = [...(model.outgoing.get(edge.source) ?? [])].sort((a, b) => farY(a, true, positions) - farY(b, true, positions))
    const i = mates.findIndex((e) => e.id === from)
    return mates[i + by]?.id ?? null
  }
  const here = positions.get(from)
  if (!here) return null
  let best: string | null = null
  let least = Infinity
  for (const [id, p] of positions) {
    const dy = (p.y - here.y) * by
    if (id === from || dy <= 0) continue
    // The column first, however far down; who stands alone elsewhere is reached after it.
    const dx = Math.abs(p.x - here.x)
    const far = dy + (dx <= column ? 0 : elsewhere + dx * 2)
    if (far < least) {
      least = far
      best = id
    }
  }
  return best
}

function farY(edge: { source: string; target: string }, right: boolean, positions: ReadonlyMap<string, Point>): number {
  return positions.get(right ? edge.target : edge.source)?.y ?? 0
}

function order(positions: ReadonlyMap<string, Point>): string[] {
  return [...positions].sort(([, a], [, b]) => a.x - b.x || a.y - b.y).map(([id]) => id)
}
