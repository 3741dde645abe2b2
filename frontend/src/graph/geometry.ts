/** Rectangles, points and polylines in world units (CSS pixels at zoom 1). */

export type Point = { x: number; y: number }
export type Rect = { x: number; y: number; w: number; h: number }

/** A card's size; everything on the graph is measured by it. */
export const card = { w: 146, h: 56 } as const

/** Room in a box for the group's title above and its border around the cards. */
export const boxPadding = { left: 10, right: 10, top: 38, bottom: 20 } as const
/** The box of what is outside the mesh. */
export const outsideGroup = 'outside'

export function cardRect(at: Point): Rect {
  return { x: at.x, y: at.y, w: card.w, h: card.h }
}

export function overlaps(a: Rect, b: Rect, gap = 0): boolean {
  return a.x < b.x + b.w + gap && b.x < a.x + a.w + gap && a.y < b.y + b.h + gap && b.y < a.y + a.h + gap
}

export function contains(r: Rect, p: Point): boolean {
  return p.x >= r.x && p.x <= r.x + r.w && p.y >= r.y && p.y <= r.y + r.h
}

export function bounds(rects: Iterable<Rect>): Rect | null {
  let x1 = Infinity
  let y1 = Infinity
  let x2 = -Infinity
  let y2 = -Infinity
  for (const r of rects) {
    x1 = Math.min(x1, r.x)
    y1 = Math.min(y1, r.y)
    x2 = Math.max(x2, r.x + r.w)
    y2 = Math.max(y2, r.y + r.h)
  }
  return x1 === Infinity ? null : { x: x1, y: y1, w: x2 - x1, h: y2 - y1 }
}

export function inflate(r: Rect, by: number): Rect {
  return { x: r.x - by, y: r.y - by, w: r.w + 2 * by, h: r.h + 2 * by }
}

/** A path as points with the length walked so far at each of them. */
export type Polyline = { xs: Float32Array; ys: Float32Array; lengths: Float32Array; total: number }

export function polyline(points: Point[]): Polyline {
  const n = points.length
  const xs = new Float32Array(n)
  const ys = new Float32Array(n)
  const lengths = new Float32Array(n)
  let total = 0
  points.forEach((p, i) => {
    if (i > 0) total += Math.hypot(p.x - xs[i - 1]!, p.y - ys[i - 1]!)
    xs[i] = p.x
    ys[i] = p.y
    lengths[i] = total
  })
  return { xs, ys, lengths, total }
}

/** The point and direction at a fraction of the length. */
export function along(line: Polyline, fraction: number): Point & { dx: number; dy: number } {
  const wanted = line.total * fraction
  const last = line.xs.length - 1
  let i = 1
  while (i < last && line.lengths[i]! < wanted) i++
  const x1 = line.xs[i - 1] ?? 0
  const y1 = line.ys[i - 1] ?? 0
  const x2 = line.xs[i] ?? x1
  const y2 = line.ys[i] ?? y1
  const length = Math.hypot(x2 - x1, y2 - y1) || 1
  const t = Math.min(1, Math.max(0, (wanted - (line.lengths[i - 1] ?? 0)) / length))
  return { x: x1 + (x2 - x1) * t, y: y1 + (y2 - y1) * t, dx: (x2 - x1) / length, dy: (y2 - y1) / length }
}

/** The distance of a point from a path. */
export function distance(line: Polyline, p: Point): number {
  let best = Infinity
  for (let i = 1; i < line.xs.length; i++) {
    const x1 = line.xs[i - 1]!
    const y1 = line.ys[i - 1]!
    const dx = line.xs[i]! - x1
    const dy = line.ys[i]! - y1
    const square = dx * dx + dy * dy
    const t = square === 0 ? 0 : Math.min(1, Math.max(0, ((p.x - x1) * dx + (p.y - y1) * dy) / square))
    best = Math.min(best, Math.hypot(p.x - (x1 + dx * t), p.y - (y1 + dy * t)))
  }
  return best
}

export function cubic(p0: Point, p1: Point, p2: Point, p3: Point, steps: number, into: Point[]): void {
  for (let i = into.length === 0 ? 0 : 1; i <= steps; i++) {
    const t = i / steps
    const u = 1 - t
    const a = u * u * u
    const b = 3 * u * u * t
    const c = 3 * u * t * t
    const d = t * t * t
    into.push({ x: a * p0.x + b * p1.x + c * p2.x + d * p3.x, y: a * p0.y + b * p1.y + c * p2.y + d * p3.y })
  }
}
