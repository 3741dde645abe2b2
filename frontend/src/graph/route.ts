import type { GraphEdge } from '@/api/types'
import { card, cardRect, cubic, inflate, overlaps, type Point, type Polyline, polyline, type Rect } from './geometry'

/**
 * Draws edges as curves from side to side, spread over the sides they leave
 * and reach, and around cards that stand in their way.
 */

/** What a route depends on of an edge: little enough to be sent to the layout's worker. */
export type Link = {
  id: string
  source: string
  target: string
  /** The host whose traffic its caller splits by weight; such edges of one caller leave by one trunk. */
  split: string | null
}

export function linkOf(edge: GraphEdge): Link {
  return { id: edge.id, source: edge.source, target: edge.target, split: splits(edge) ? (edge.service?.host ?? '') : null }
}

type Side = 'left' | 'right' | 'top' | 'bottom'
type Ends = { edge: Link; from: Side; to: Side }

const normals: Record<Side, Point> = {
  left: { x: -1, y: 0 },
  right: { x: 1, y: 0 },
  top: { x: 0, y: -1 },
  bottom: { x: 0, y: 1 },
}

export function routeEdges(edges: Iterable<Link>, positions: ReadonlyMap<string, Point>): Map<string, Polyline> {
  const ends: Ends[] = []
  for (const edge of edges) {
    const a = positions.get(edge.source)
    const b = positions.get(edge.target)
    if (a && b && edge.source !== edge.target) ends.push({ edge, ...sides(a, b) })
  }
  // Among so many edges nobody follows a detour: the straight curve says as much.
  if (ends.length > plainFrom) return plainRoutes(ends, positions)
  const obstacles = new Obstacles(positions)
  // Twice: where an edge takes a detour, its place on the card's side is the
  // one it comes from, not the one where its other end stands.
  const first = trace(ends, positions, obstacles, new Map())
  const detours = new Map([...first].flatMap(([id, { lane }]) => (lane ? [[id, lane.y] as const] : [])))
  const last = detours.size === 0 ? first : trace(ends, positions, obstacles, detours)
  return new Map([...last].map(([id, { path }]) => [id, polyline(path)]))
}

/** How far from the card a split forks. */
const trunk = 24

/** Who splits by weight is the caller's proxy: its edges to one service leave together. */
export function splits(edge: GraphEdge): boolean {
  return edge.weight !== undefined && edge.client_side !== null
}

/** Where the edges of each split part: those that leave by one trunk. */
export function forksOf(edges: Iterable<GraphEdge>, routes: ReadonlyMap<string, Polyline>): Map<string, Point> {
  const leaving = new Map<string, { at: Point; edges: string[] }>()
  for (const edge of edges) {
    const line = splits(edge) ? routes.get(edge.id) : undefined
    if (!line || line.total < trunk * 2) continue
    const at = { x: line.xs[1]!, y: line.ys[1]! }
    const key = `${edge.source} ${at.x} ${at.y}`
    leaving.set(key, { at, edges: [...(leaving.get(key)?.edges ?? []), edge.id] })
  }
  return new Map([...leaving.values()].filter((f) => f.edges.length > 1).map((f) => [f.edges[0]!, f.at]))
}

/** The first end of each split that has more than one; keyed by who splits what. */
function splitEnds(ends: Ends[]): Map<string, Ends> {
  const all = new Map<string, Ends[]>()
  for (const end of ends) {
    if (end.edge.split === null) continue
    const key = splitKey(end)
    all.set(key, [...(all.get(key) ?? []), end])
  }
  return new Map([...all].filter(([, list]) => list.length > 1).map(([key, list]) => [key, list[0]!]))
}

function splitKey({ edge, from }: Ends): string {
  return `${edge.source} ${edge.split} ${from}`
}

const plainFrom = 2000
const plainSteps = 9

function plainRoutes(ends: Ends[], positions: ReadonlyMap<string, Point>): Map<string, Polyline> {
  const routes = new Map<string, Polyline>()
  for (const { edge, from, to } of ends) {
    routes.set(edge.id, polyline(curve(port(positions.get(edge.source)!, from, 0), port(positions.get(edge.target)!, to, 0), from, to, plainSteps)))
  }
  return routes
}

type Traced = { path: Point[]; lane: Lane | null }

function trace(ends: Ends[], positions: ReadonlyMap<string, Point>, obstacles: Obstacles, detours: ReadonlyMap<string, number>): Map<string, Traced> {
  const offsets = spread(ends, positions, detours)
  const forked = splitEnds(ends)
  const lanes: Lane[] = []
  const traced = new Map<string, Traced>()
  for (const end of ends) {
    const start = port(positions.get(end.edge.source)!, end.from, offsets.get(`${end.edge.id} from`) ?? 0)
    const stop = port(positions.get(end.edge.target)!, end.to, offsets.get(`${end.edge.id} to`) ?? 0)
    const first = end.edge.split !== null ? forked.get(splitKey(end)) : undefined
    if (!first) {
      traced.set(end.edge.id, around(start, stop, end, obstacles, lanes))
      continue
    }
    // One trunk for all edges of a split, from the place of the first of them.
    const root = port(positions.get(end.edge.source)!, end.from, offsets.get(`${first.edge.id} from`) ?? 0)
    const n = normals[end.from]
    const { path, lane } = around({ x: root.x + n.x * trunk, y: root.y + n.y * trunk }, stop, end, obstacles, lanes)
    traced.set(end.edge.id, { path: [root, ...path], lane })
  }
  return traced
}

/** Which sides face each other: right to left where there is room, else top and bottom. */
function sides(a: Point, b: Point): { from: Side; to: Side } {
  if (b.x >= a.x + card.w + 12) return { from: 'right', to: 'left' }
  if (b.x + card.w <= a.x - 12) return { from: 'left', to: 'right' }
  return b.y >= a.y ? { from: 'bottom', to: 'top' } : { from: 'top', to: 'bottom' }
}

/** Edges that share a side stand apart on it, in the order of where they go. */
function spread(
  ends: Ends[],
  positions: ReadonlyMap<string, Point>,
  detours: ReadonlyMap<string, number>,
): Map<string, number> {
  const perSide = new Map<string, { key: string; order: number }[]>()
  const add = (node: string, side: Side, key: string, other: Point, detour: number | undefined) => {
    const name = `${node} ${side}`
    const list = perSide.get(name) ?? []
    list.push({ key, order: side === 'left' || side === 'right' ? (detour ?? other.y + card.h / 2) : other.x })
    perSide.set(name, list)
  }
  for (const { edge, from, to } of ends) {
    add(edge.source, from, `${edge.id} from`, positions.get(edge.target)!, detours.get(edge.id))
    add(edge.target, to, `${edge.id} to`, positions.get(edge.source)!, detours.get(edge.id))
  }
  const offsets = new Map<string, number>()
  for (const [name, list] of perSide) {
    const room = name.endsWith('top') || name.endsWith('bottom') ? 90 : 34
    const step = Math.min(13, room / Math.max(1, list.length - 1))
    list.sort((a, b) => a.order - b.order || a.key.localeCompare(b.key))
    list.forEach((item, i) => offsets.set(item.key, (i - (list.length - 1) / 2) * step))
  }
  return offsets
}

function port(at: Point, side: Side, offset: number): Point {
  switch (side) {
    case 'left':
      return { x: at.x, y: at.y + card.h / 2 + offset }
    case 'right':
      return { x: at.x + card.w, y: at.y + card.h / 2 + offset }
    case 'top':
      return { x: at.x + card.w / 2 + offset, y: at.y }
    case 'bottom':
      return { x: at.x + card.w / 2 + offset, y: at.y + card.h }
  }
}

/** A level stretch that a detour took; the next one keeps off it. */
type Lane = { y: number; x1: number; x2: number }

const laneGap = 8
const upwardPenalty = 90 // above a card stand badges and the box's title
const hitCost = 1500

/** The straight curve, or when cards stand in the way the best of some detours. */
function around(start: Point, stop: Point, end: Ends, obstacles: Obstacles, lanes: Lane[]): Traced {
  const direct = curve(start, stop, end.from, end.to)
  const blockers = obstacles.hitBy(direct, end.edge)
  if (blockers.length === 0 || end.from === 'top' || end.from === 'bottom') return { path: direct, lane: null }
  const towards = end.from === 'right' ? 1 : -1
  const left = Math.min(...blockers.map((r) => r.x)) - 18
  const right = Math.max(...blockers.map((r) => r.x + r.w)) + 18
  const [near, far] = towards === 1 ? [left, right] : [right, left]
  const from = towards * Math.max(towards * near, towards * start.x + 14)
  const to = towards * Math.min(towards * far, towards * stop.x - 14)
  let best = { path: direct, cost: lengthOf(direct) + blockers.length * hitCost, lane: null as Lane | null }
  if (towards * (to - from) < 0) return { path: direct, lane: null }
  for (const level of levels(blockers)) {
    const lane = { y: level.y, x1: Math.min(from, to), x2: Math.max(from, to) }
    while (lanes.some((l) => Math.abs(l.y - lane.y) < laneGap - 1 && l.x1 < lane.x2 && lane.x1 < l.x2)) lane.y += laneGap * level.away
    const path: Point[] = []
    const a = { x: from, y: lane.y }
    const b = { x: to, y: lane.y }
    cubic(start, mid(start, a), mid(start, a, lane.y), a, 16, path)
    path.push(b)
    cubic(b, mid(b, stop, lane.y), mid(b, stop, stop.y), stop, 16, path)
    const cost = lengthOf(path) + (level.away < 0 ? upwardPenalty : 0)
    // Most are too long, or run through too many cards, long before all of them are counted.
    const most = Math.floor((best.cost - cost) / hitCost)
    if (most < 0) continue
    const hits = obstacles.hitBy(path, end.edge, most).length
    if (cost + hits * hitCost < best.cost) best = { path, cost: cost + hits * hitCost, lane }
  }
  if (best.lane) lanes.push(best.lane)
  return best
}

function levels(blockers: Rect[]): { y: number; away: 1 | -1 }[] {
  return blockers.flatMap((r) => [
    { y: r.y - 12, away: -1 as const },
    { y: r.y + r.h + 7, away: 1 as const },
  ])
}

function mid(a: Point, b: Point, y = a.y): Point {
  return { x: (a.x + b.x) / 2, y }
}

function lengthOf(path: Point[]): number {
  let length = 0
  for (let i = 1; i < path.length; i++) length += Math.hypot(path[i]!.x - path[i - 1]!.x, path[i]!.y - path[i - 1]!.y)
  return length
}

function curve(start: Point, stop: Point, from: Side, to: Side, steps = 26): Point[] {
  const horizontal = from === 'left' || from === 'right'
  const gap = horizontal ? Math.abs(stop.x - start.x) : Math.abs(stop.y - start.y)
  const pull = Math.max(horizontal ? 18 : 12, gap * 0.5)
  const a = normals[from]
  const b = normals[to]
  const path: Point[] = []
  cubic(
    start,
    { x: start.x + a.x * pull, y: start.y + a.y * pull },
    { x: stop.x + b.x * pull, y: stop.y + b.y * pull },
    stop,
    steps,
    path,
  )
  return path
}

type Item = { id: string; rect: Rect }

/** Cards in a coarse grid, for "what does this path run through". */
class Obstacles {
  private readonly cells = new Map<number, Item[]>()
  private static readonly size = 256

  constructor(positions: ReadonlyMap<string, Point>) {
    for (const [id, at] of positions) {
      const item = { id, rect: inflate(cardRect(at), 5) }
      for (const key of Obstacles.keys(item.rect)) {
        const list = this.cells.get(key)
        if (list) list.push(item)
        else this.cells.set(key, [item])
      }
    }
  }

  /** The cards that a path runs through, but for those at its ends; no more are looked for past `most`. */
  hitBy(path: Point[], edge: Link, most = Infinity): Rect[] {
    const found = new Map<string, Rect>()
    let at = NaN
    let here: readonly Item[] | undefined
    for (const p of path) {
      const key = Obstacles.key(Math.floor(p.x / Obstacles.size), Math.floor(p.y / Obstacles.size))
      if (key !== at) here = this.cells.get((at = key))
      if (!here) continue
      for (const { id, rect } of here) {
        if (p.x > rect.x && p.x < rect.x + rect.w && p.y > rect.y && p.y < rect.y + rect.h && id !== edge.source && id !== edge.target) found.set(id, rect)
      }
      if (found.size > most) return [...found.values()]
    }
    // A long level stretch has few points: test it as a whole.
    for (let i = 1; i < path.length; i++) {
      const a = path[i - 1]!
      const b = path[i]!
      if (Math.abs(b.x - a.x) < 60 || Math.abs(b.y - a.y) > 1) continue
      const stretch = { x: Math.min(a.x, b.x), y: a.y, w: Math.abs(b.x - a.x), h: 0 }
      for (const key of Obstacles.keys(stretch)) {
        for (const { id, rect } of this.cells.get(key) ?? []) {
          if (id !== edge.source && id !== edge.target && overlaps(rect, stretch)) found.set(id, rect)
        }
      }
    }
    return [...found.values()]
  }

  private static key(x: number, y: number): number {
    return (x + 32_768) * 65_536 + y + 32_768
  }

  private static *keys(r: Rect): Generator<number> {
    const s = Obstacles.size
    for (let x = Math.floor(r.x / s); x <= Math.floor((r.x + r.w) / s); x++) {
      for (let y = Math.floor(r.y / s); y <= Math.floor((r.y + r.h) / s); y++) yield Obstacles.key(x, y)
    }
  }
}
