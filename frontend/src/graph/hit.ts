import { cardRect, contains, distance, type Point, type Polyline } from './geometry'

export type Hit = { kind: 'node'; id: string } | { kind: 'edge'; id: string }

/** What stands under a world point: cards before edges, the nearest edge within reach. */
export function hitTest(
  at: Point,
  positions: ReadonlyMap<string, Point>,
  routes: ReadonlyMap<string, Polyline>,
  reach: number,
): Hit | null {
  for (const [id, p] of positions) if (contains(cardRect(p), at)) return { kind: 'node', id }
  let best: Hit | null = null
  let nearest = reach
  for (const [id, line] of routes) {
    const d = distance(line, at)
    if (d < nearest) {
      nearest = d
      best = { kind: 'edge', id }
    }
  }
  return best
}
