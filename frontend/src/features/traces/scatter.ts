import { outcomeOf } from '@/api/outcome'
import type { TraceSummary } from '@/api/types'
import { decades, linear, log } from '@/ui/charts/scale'
import type { Scale } from '@/ui/charts/scale'

export type Point = { index: number; at: number; ms: number; radius: number; failed: boolean }

export type Plot = { points: Point[]; from: number; to: number; low: number; high: number; ticks: number[] }

/** plotOf places traces by start and duration; failed ones come last, so that they are drawn on top. */
export function plotOf(traces: readonly TraceSummary[]): Plot {
  const points = traces.map((t, index): Point => ({
    index,
    at: Date.parse(t.start),
    ms: Math.max(0.01, t.duration_ms),
    radius: 2.5 + Math.min(3, Math.log10(Math.max(1, t.spans))),
    failed: outcomeOf(t) === 'failed',
  }))
  let [from, to, low, high] = [Infinity, -Infinity, Infinity, -Infinity]
  for (const p of points) {
    from = Math.min(from, p.at)
    to = Math.max(to, p.at)
    low = Math.min(low, p.ms)
    high = Math.max(high, p.ms)
  }
  if (points.length === 0) return { points, from: 0, to: 1, low: 1, high: 1000, ticks: [1, 10, 100, 1000] }
  const pad = Math.max(500, (to - from) * 0.02)
  const plot = { points: points.sort((a, b) => Number(a.failed) - Number(b.failed)), from: from - pad, to: to + pad, low: low / 1.6, high: high * 1.6 }
  return { ...plot, ticks: decades(plot.low, plot.high) }
}

export type Frame = { left: number; right: number; top: number; bottom: number }

export const scalesOf = (p: Plot, f: Frame): { x: Scale; y: Scale } => ({
  x: linear(p.from, p.to, f.left, f.right),
  y: log(p.low, p.high, f.bottom, f.top),
})

/** nearest finds the point under the pointer, within reach pixels. */
export function nearest(p: Plot, x: Scale, y: Scale, px: number, py: number, reach = 12): Point | null {
  let best: Point | null = null
  let least = reach * reach
  for (const point of p.points) {
    const d = (x(point.at) - px) ** 2 + (y(point.ms) - py) ** 2
    // Later points lie on top: they win a tie.
    if (d <= least) {
      least = d
      best = point
    }
  }
  return best
}

export type Brush = { x0: number; y0: number; x1: number; y1: number }

/** brushed turns a rectangle of pixels into a search by time and duration. */
export function brushed(b: Brush, x: Scale, y: Scale): { from: string; to: string; min_ms: string; max_ms: string } {
  const [xa, xb] = [Math.min(b.x0, b.x1), Math.max(b.x0, b.x1)]
  const [ya, yb] = [Math.min(b.y0, b.y1), Math.max(b.y0, b.y1)]
  const ms = (v: number) => String(Number(v.toPrecision(3)))
  return {
    from: new Date(Math.floor(x.invert(xa))).toISOString(),
    to: new Date(Math.ceil(x.invert(xb))).toISOString(),
    min_ms: ms(y.invert(yb)),
    max_ms: ms(y.invert(ya)),
  }
}
