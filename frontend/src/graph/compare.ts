import type { GraphEdge, GraphNode, GraphView } from '@/api/types'
import { duration, figure, percent, text } from '@/lib/format'
import type { DrawnEdge, DrawnNode } from './fold'
import { stateWord, worse } from './health'

/**
 * Two moments of the graph as one picture: what is there now, what is new in
 * it, and what is there no more. Pure.
 */

export type Change = 'added' | 'removed' | 'changed'
/** One line of what changed, worst first. */
export type ChangeLine = { id: string; kind: 'node' | 'edge'; change: Change; name: string; text: string; weight: number }
export type Comparison = {
  view: GraphView & { nodes: DrawnNode[]; edges: DrawnEdge[] }
  lines: ChangeLine[]
  counts: Record<Change, number>
}

/** Smaller differences are of no interest, however certain. */
const noise = { rate: 0.3, leastRate: 0.5, errors: 0.02, latency: 0.5, leastLatencyMS: 20 } as const

export function compareViews(then: GraphView, now: GraphView): Comparison {
  const lines: ChangeLine[] = []
  const names = new Map([...then.nodes, ...now.nodes].map((n) => [n.id, n.name]))
  const edgeName = (e: GraphEdge) => `${names.get(e.source) ?? e.source} → ${names.get(e.target) ?? e.target}`

  const nodes = union<GraphNode>(then.nodes, now.nodes, (a, b) => {
    const said = nodeChange(a, b)
    if (said) lines.push({ id: b.id, kind: 'node', change: 'changed', name: b.name, text: said, weight: weightOf(a, b) })
    return said !== ''
  })
  for (const n of nodes) {
    if (n.change === 'added') lines.push({ id: n.id, kind: 'node', change: 'added', name: n.name, text: 'new', weight: 3 })
    if (n.change === 'removed') lines.push({ id: n.id, kind: 'node', change: 'removed', name: n.name, text: 'gone', weight: 4 })
  }
  const edges = union<GraphEdge>(then.edges, now.edges, (a, b) => {
    const said = edgeChange(a, b, now.window_s)
    if (said) lines.push({ id: b.id, kind: 'edge', change: 'changed', name: edgeName(b), text: said, weight: weightOf(a, b) })
    return said !== ''
  })
  for (const e of edges) {
    if (e.change === 'added') lines.push({ id: e.id, kind: 'edge', change: 'added', name: edgeName(e), text: `new, ${figure(e.rps)} rps`, weight: 2 })
    if (e.change === 'removed') lines.push({ id: e.id, kind: 'edge', change: 'removed', name: edgeName(e), text: `gone, was ${figure(e.rps)} rps`, weight: 3 })
  }
  const counts = { added: 0, removed: 0, changed: 0 }
  for (const line of lines) counts[line.change]++
  lines.sort((a, b) => b.weight - a.weight || a.name.localeCompare(b.name))
  return { view: { ...now, nodes, edges }, lines, counts }
}

/** Everything of both; who is gone keeps its last figures. */
function union<T extends { id: string }>(then: T[], now: T[], differs: (a: T, b: T) => boolean): (T & { change?: Change })[] {
  const before = new Map(then.map((item) => [item.id, item]))
  const out: (T & { change?: Change })[] = now.map((item) => {
    const was = before.get(item.id)
    before.delete(item.id)
    if (!was) return { ...item, change: 'added' }
    return differs(was, item) ? { ...item, change: 'changed' } : item
  })
  for (const gone of before.values()) out.push({ ...gone, change: 'removed' })
  return out
}

function nodeChange(a: GraphNode, b: GraphNode): string {
  const parts: string[] = []
  if (a.health.state !== b.health.state) parts.push(`${stateWord[a.health.state]} → ${stateWord[b.health.state]}`)
  if (a.config && b.config && a.config.revision !== b.config.revision) parts.push(`rev ${a.config.revision} → ${b.config.revision}`)
  if (a.meshed !== b.meshed) parts.push(b.meshed ? 'has a sidecar now' : 'lost its sidecar')
  return parts.join(', ')
}

/** More than two deviations of what chance alone makes of so many requests. */
function isCertain(difference: number, variance: number): boolean {
  return Math.abs(difference) > 2 * Math.sqrt(variance)
}

function rateChanged(a: GraphEdge, b: GraphEdge, seconds: number): boolean {
  const difference = b.rps - a.rps
  return Math.abs(difference) > Math.max(noise.leastRate, a.rps * noise.rate) && isCertain(difference, (a.rps + b.rps) / seconds)
}

function errorsChanged(a: GraphEdge, b: GraphEdge, seconds: number): boolean {
  const difference = b.error_ratio - a.error_ratio
  const failed = a.rps * a.error_ratio + b.rps * b.error_ratio
  const mean = failed / (a.rps + b.rps || 1)
  const variance = mean * (1 - mean) * (1 / Math.max(1, a.rps * seconds) + 1 / Math.max(1, b.rps * seconds))
  return Math.abs(difference) > noise.errors && isCertain(difference, variance)
}

function edgeChange(a: GraphEdge, b: GraphEdge, seconds: number): string {
  const parts: string[] = []
  if (a.health.state !== b.health.state) parts.push(`${stateWord[a.health.state]} → ${stateWord[b.health.state]}`)
  if (rateChanged(a, b, seconds)) parts.push(`${figure(a.rps)} → ${figure(b.rps)} rps`)
  if (errorsChanged(a, b, seconds)) parts.push(`${text(percent(a.error_ratio))} → ${text(percent(b.error_ratio))} errors`)
  if (a.p95_ms !== null && b.p95_ms !== null && Math.abs(b.p95_ms - a.p95_ms) > Math.max(noise.leastLatencyMS, a.p95_ms * noise.latency)) {
    parts.push(`p95 ${text(duration(a.p95_ms))} → ${text(duration(b.p95_ms))}`)
  }
  if (a.weight && b.weight && a.weight.configured !== b.weight.configured) parts.push(`split ${text(percent(a.weight.configured))} → ${text(percent(b.weight.configured))}`)
  return parts.join(', ')
}

/** What got worse weighs most, then what is not as it was. */
function weightOf(a: GraphNode | GraphEdge, b: GraphNode | GraphEdge): number {
  if (a.health.state === b.health.state) return 1
  return worse(a.health.state, b.health.state) === b.health.state ? 6 : 2
}
