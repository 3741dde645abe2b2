import type { GraphEdge, HealthState } from '@/api/types'
import { duration, figure, bytes, percent, text } from '@/lib/format'
import { along, cardRect, contains, overlaps, type Point, type Polyline, type Rect } from './geometry'
import type { DrawnEdge } from './fold'
import type { Model } from './model'
import { splits } from './route'

/**
 * Words beside edges, only where they tell something: matched, failing, split,
 * crossing a border, selected or pointed at. Placed beside the line, where
 * neither a card nor another label stands.
 */

export type Metric = 'rate' | 'p95' | 'errors' | 'bytes'
export type Label = {
  id: string
  x: number
  y: number
  lines: string[]
  tone: HealthState
  hit: boolean
  split: boolean
}

export type LabelInput = {
  model: Model
  /** Of the boxes: their titles are not to be written over. */
  boxes: ReadonlyMap<string, Rect>
  positions: ReadonlyMap<string, Point>
  routes: ReadonlyMap<string, Polyline>
  metric: Metric
  lit: ReadonlySet<string>
}

export function placeLabels({ model, boxes, positions, routes, metric, lit }: LabelInput): Label[] {
  const taken: Rect[] = [...positions.entries()].filter(([id]) => model.nodes.has(id)).map(([, p]) => cardRect(p))
  for (const b of boxes.values()) taken.push({ x: b.x, y: b.y, w: b.w, h: 26 })
  const wanted = [...model.edges.values()]
    .map((edge) => ({ edge, why: importance(edge, model, lit) }))
    .filter((w) => w.why > 0)
    .sort((a, b) => b.why - a.why || b.edge.rps - a.edge.rps)
  const ink = new Ink(routes)
  const labels: Label[] = []
  for (const { edge } of wanted) {
    const line = routes.get(edge.id)
    const lines = edge.change === 'added' || edge.change === 'removed' ? [changeWord[edge.change], ...words(edge, metric, false).slice(0, 1)] : words(edge, metric, lit.has(edge.id))
    if (!line || lines.length === 0) continue
    const spot = freeSpot(line, lines, taken, ink, lit.has(edge.id) || edge.health.state === 'fail')
    if (!spot) continue
    // Words of two edges one under the other read as one label.
    taken.push({ x: spot.x - 4, y: spot.y - 8, w: spot.w + 8, h: spot.h + 16 })
    labels.push({
      id: edge.id,
      x: spot.x + spot.w / 2,
      y: spot.y + spot.h / 2,
      lines,
      tone: edge.health.state,
      hit: (model.finding && edge.match === true) || edge.change === 'added',
      split: splits(edge) && edge.health.state === 'ok',
    })
  }
  return labels
}

const changeWord = { added: 'new', removed: 'gone' } as const

function importance(edge: DrawnEdge, model: Model, lit: ReadonlySet<string>): number {
  if (model.finding && !edge.match && !lit.has(edge.id)) return 0
  if (lit.has(edge.id)) return 6
  if (edge.change === 'added' || edge.change === 'removed') return 5
  if (edge.health.state === 'fail') return 5
  if (model.finding) return 4
  if (edge.health.state === 'warn') return 3
  if (splits(edge)) return 2
  const a = model.groupOf.get(edge.source)
  return (edge.rps > 0 || edge.active_connections > 0) && a !== model.groupOf.get(edge.target) ? 1 : 0
}

/** What the label says under the metric chosen; a failing edge always says its errors. */
export function words(edge: GraphEdge, metric: Metric, full: boolean): string[] {
  const state = edge.health.state
  const bad = state === 'fail' || state === 'warn'
  const http = edge.protocol !== 'tcp'
  const rate = http ? `${figure(edge.rps)} rps` : `${figure(edge.active_connections)} conn`
  const errors = text(percent(edge.error_ratio))
  const p95 = edge.p95_ms === null ? [] : [text(duration(edge.p95_ms))]
  const split = splits(edge) && edge.weight ? [splitWord(edge.weight)] : []
  if (full) return [rate, ...(http ? [errors, ...p95] : [])]
  if (bad && edge.error_ratio >= 0.005) return [metric === 'rate' || metric === 'errors' ? rate : metricWord(edge, metric), errors].filter(Boolean)
  if (metric === 'rate') return split.length > 0 ? split : bad && p95.length > 0 ? p95 : [rate]
  const word = metricWord(edge, metric)
  return word === '' ? [] : [word]
}

/** "90 %", and what was configured where chance does not explain the difference. */
function splitWord({ configured, actual }: { configured: number; actual: number }): string {
  const is = text(percent(actual)).replace('.0', '')
  return Math.abs(actual - configured) > 0.05 ? `${is}, set ${Math.round(configured * 100)}` : is
}

function metricWord(edge: GraphEdge, metric: Metric): string {
  switch (metric) {
    case 'p95':
      return edge.p95_ms === null ? '' : text(duration(edge.p95_ms))
    case 'errors':
      return edge.protocol === 'tcp' ? '' : text(percent(edge.error_ratio))
    case 'bytes':
      return `${text(bytes(edge.sent_bytes_per_s + edge.received_bytes_per_s))}/s`
    case 'rate':
      return edge.protocol === 'tcp' ? `${figure(edge.active_connections)} conn` : `${figure(edge.rps)} rps`
  }
}

const fractions = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82]
/** Where along the line, and how far beside it. */
const tries = [6, 15].flatMap((away) => fractions.map((t) => [t, away] as const))

/** The first place that crosses nothing; else the one that crosses least. */
function freeSpot(line: Polyline, lines: string[], taken: Rect[], ink: Ink, must: boolean): Rect | null {
  const w = Math.max(...lines.map((l) => l.length)) * 6.4 + 8
  const h = lines.length * 14 + 2
  let best: Rect | null = null
  let least = Infinity
  for (const [t, away] of tries) {
    const p = along(line, t)
    for (const side of [-1, 1]) {
      // Beside the line: the steeper it runs, the more to its side.
      const nx = -p.dy * side
      const ny = p.dx * side
      const gap = away + (Math.abs(nx) * w) / 2 + (Math.abs(ny) * h) / 2
      const spot = { x: p.x + nx * gap - w / 2, y: p.y + ny * gap - h / 2, w, h }
      const blocked = taken.some((r) => overlaps(r, spot, 1))
      const crossings = ink.within(spot)
      if (!blocked && crossings === 0) return spot
      const cost = crossings + (blocked ? 100 : 0)
      if (cost < least && (must || !blocked)) {
        least = cost
        best = spot
      }
    }
  }
  return best
}

/** Where lines run, in a coarse grid. */
class Ink {
  private readonly cells = new Map<number, Point[]>()

  constructor(routes: ReadonlyMap<string, Polyline>) {
    for (const { xs, ys } of routes.values()) {
      for (let i = 1; i < xs.length; i++) {
        const [x, y] = [xs[i - 1]!, ys[i - 1]!]
        const [dx, dy] = [xs[i]! - x, ys[i]! - y]
        const steps = Math.max(1, Math.round(Math.hypot(dx, dy) / 9))
        for (let k = 0; k < steps; k++) this.put({ x: x + (dx * k) / steps, y: y + (dy * k) / steps })
      }
      this.put({ x: xs[xs.length - 1]!, y: ys[ys.length - 1]! })
    }
  }

  private put(p: Point): void {
    const key = Ink.key(Math.floor(p.x / 64), Math.floor(p.y / 64))
    const list = this.cells.get(key)
    if (list) list.push(p)
    else this.cells.set(key, [p])
  }

  within(r: Rect): number {
    let n = 0
    for (let x = Math.floor(r.x / 64); x <= Math.floor((r.x + r.w) / 64); x++) {
      for (let y = Math.floor(r.y / 64); y <= Math.floor((r.y + r.h) / 64); y++) {
        for (const p of this.cells.get(Ink.key(x, y)) ?? []) if (contains(r, p)) n++
      }
    }
    return n
  }

  private static key(x: number, y: number): number {
    return (x + 32_768) * 65_536 + y + 32_768
  }
}
