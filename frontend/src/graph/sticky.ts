import { bounds, boxPadding, card, cardRect, outsideGroup, overlaps, type Point, type Rect } from './geometry'
import type { Model } from './model'

/**
 * Finds places for newcomers without moving anyone: beside its neighbours, in
 * the nearest free place that overlaps no card and no foreign box.
 */

const columnStep = card.w + 78
const rowStep = card.h + 34

export function placeNewcomers(model: Model, placed: ReadonlyMap<string, Point>): Map<string, Point> {
  const positions = new Map(placed)
  const waiting = [...model.nodes.keys()].filter((id) => !positions.has(id))
  // Those with most placed neighbours first: they know best where they belong.
  const known = (id: string) => neighbours(model, id).filter((n) => positions.has(n)).length
  while (waiting.length > 0) {
    waiting.sort((a, b) => known(b) - known(a) || a.localeCompare(b))
    const id = waiting.shift()!
    positions.set(id, freePlace(model, positions, id, wantedPlace(model, positions, id)))
  }
  return positions
}

function neighbours(model: Model, id: string): string[] {
  return [
    ...(model.incoming.get(id) ?? []).map((e) => e.source),
    ...(model.outgoing.get(id) ?? []).map((e) => e.target),
  ]
}

function wantedPlace(model: Model, positions: ReadonlyMap<string, Point>, id: string): Point {
  const callers = points(positions, (model.incoming.get(id) ?? []).map((e) => e.source))
  const called = points(positions, (model.outgoing.get(id) ?? []).map((e) => e.target))
  const mates = points(positions, membersOf(model, id))
  if (model.groupOf.get(id) === outsideGroup && mates.length > 0) {
    return { x: mates[0]!.x, y: mean(callers.map((p) => p.y)) ?? mates[0]!.y }
  }
  if (callers.length > 0) return { x: Math.max(...callers.map((p) => p.x)) + columnStep, y: mean(callers.map((p) => p.y)) ?? 0 }
  if (called.length > 0) return { x: Math.min(...called.map((p) => p.x)) - columnStep, y: mean(called.map((p) => p.y)) ?? 0 }
  if (mates.length > 0) return { x: Math.min(...mates.map((p) => p.x)), y: Math.max(...mates.map((p) => p.y)) + rowStep }
  const extent = bounds([...positions.values()].map(cardRect))
  return extent ? { x: extent.x, y: extent.y + extent.h + boxPadding.top + rowStep } : { x: 0, y: 0 }
}

function freePlace(model: Model, positions: ReadonlyMap<string, Point>, id: string, wanted: Point): Point {
  const cards = [...positions.values()].map(cardRect)
  const own = model.groupOf.get(id)
  const mates = points(positions, membersOf(model, id)).map(cardRect)
  const foreign = [...boxesOf(model, positions)].filter(([group]) => group !== own).map(([, box]) => box)
  for (const step of spiral()) {
    const at = { x: Math.round(wanted.x + step.x), y: Math.round(wanted.y + step.y) }
    const rect = cardRect(at)
    if (cards.some((c) => overlaps(rect, c, 22))) continue
    const grown = own === undefined ? rect : padded(bounds([...mates, rect]) ?? rect)
    if (foreign.some((box) => overlaps(grown, box, 10))) continue
    return at
  }
  // Crowded beyond the search: below everything is always free.
  const extent = bounds(cards)
  return { x: wanted.x, y: (extent ? extent.y + extent.h : 0) + boxPadding.top + rowStep }
}

/** Rows before columns: a newcomer stays in its column when it can. */
function* spiral(rings = 14): Generator<Point> {
  for (let ring = 0; ring <= rings; ring++) {
    for (let c = 0; c <= Math.floor(ring / 2); c++) {
      const r = ring - c * 2
      for (const sx of c === 0 ? [0] : [c, -c]) {
        yield { x: sx * columnStep, y: r * rowStep * 0.5 }
        if (r > 0) yield { x: sx * columnStep, y: -r * rowStep * 0.5 }
      }
    }
  }
}

/** The nearest place for a box of some size where it covers nothing; right and below come first. */
export function freeBox(wanted: Point, size: { w: number; h: number }, taken: readonly Rect[]): Point {
  for (const step of spiral(40)) {
    const at = { x: Math.round(wanted.x + step.x), y: Math.round(wanted.y + step.y) }
    if (!taken.some((r) => overlaps({ ...at, ...size }, r, 12))) return at
  }
  const extent = bounds(taken)
  return { x: wanted.x, y: (extent ? extent.y + extent.h : 0) + rowStep }
}

/** The box of each group around its members' cards. */
export function boxesOf(model: Model, positions: ReadonlyMap<string, Point>): Map<string, Rect> {
  const boxes = new Map<string, Rect>()
  for (const group of model.groups) {
    const extent = bounds(points(positions, group.members).map(cardRect))
    if (extent) boxes.set(group.id, padded(extent))
  }
  return boxes
}

export function padded(extent: Rect): Rect {
  return {
    x: extent.x - boxPadding.left,
    y: extent.y - boxPadding.top,
    w: extent.w + boxPadding.left + boxPadding.right,
    h: extent.h + boxPadding.top + boxPadding.bottom,
  }
}

function membersOf(model: Model, id: string): string[] {
  const group = model.groupOf.get(id)
  return group === undefined ? [] : (model.groups.find((g) => g.id === group)?.members ?? [])
}

function points(positions: ReadonlyMap<string, Point>, ids: string[]): Point[] {
  return ids.flatMap((id) => positions.get(id) ?? [])
}

function mean(values: number[]): number | null {
  return values.length === 0 ? null : values.reduce((s, v) => s + v, 0) / values.length
}
