import type { GraphEdge, HealthState } from '@/api/types'
import type { DrawnEdge, DrawnNode } from './fold'
import type { Point, Polyline, Rect } from './geometry'
import type { Model } from './model'
import type { Tone } from './palette'

/**
 * What a renderer draws, in world units: geometry that changes when somebody
 * moves, and styles that change with every tick.
 */

export type EdgeStyle = {
  tone: Tone
  width: number
  /** On and off lengths; null is solid. */
  dash: readonly [number, number] | null
  /** Distance between flow dots and their speed in units a second; null is none. */
  flow: { gap: number; speed: number } | null
  alpha: number
  /** Selected or focused: a blue halo. */
  halo: boolean
}
export type SceneEdge = { id: string; line: Polyline; style: EdgeStyle }
export type SceneNode = {
  id: string
  rect: Rect
  health: HealthState
  fill: Tone
  stroke: Tone
  dashed: boolean
  alpha: number
  halo: boolean
}
export type SceneGroup = { id: string; rect: Rect; dashed: boolean }
export type Scene = { edges: SceneEdge[]; nodes: SceneNode[]; groups: SceneGroup[] }

export type Marks = { selected: string | null; focused: string | null; hovered: string | null }

const dashes: Partial<Record<HealthState, readonly [number, number]>> = { warn: [11, 5], fail: [4, 3.5] }
const dimmed = 0.22
/** What is there no more, in a comparison. */
const gone = 0.45

/** Width grows with the logarithm of the rate: 1 rps 1.25, 10 2.2, 100 3.7, 1000 5.3. */
export function edgeWidth(rps: number): number {
  return rps <= 0 ? 1 : Math.max(1.25, 0.6 + Math.log10(rps + 1) * 1.55)
}

/** More requests: dots nearer to each other and faster. */
export function edgeFlow(rps: number): EdgeStyle['flow'] {
  if (rps <= 0.05) return null
  const size = Math.log10(rps + 1)
  return { gap: Math.max(18, 74 - size * 17), speed: 22 + size * 16 }
}

export function edgeStyle(edge: DrawnEdge, model: Model, marks: Marks): EdgeStyle {
  const { state } = edge.health
  const plain = model.secured && edge.mtls_ratio < 0.5
  const lit = marks.selected === edge.id || marks.focused === edge.id
  const near = marks.hovered === edge.id || touches(edge, marks)
  const width = edgeWidth(edge.protocol === 'tcp' ? edge.active_connections : edge.rps)
  return {
    tone: edgeTone(edge, plain),
    width: state === 'fail' ? width + 0.8 : width,
    dash: edge.mirrored ? [1.5, 4] : (dashes[state] ?? null),
    flow: edge.change === 'removed' ? null : state === 'ok' || state === 'warn' ? edgeFlow(edge.protocol === 'tcp' ? edge.active_connections : edge.rps) : null,
    alpha: edge.change === 'removed' && !lit ? gone : model.finding && !edge.match && !lit && !near ? dimmed : 1,
    halo: lit,
  }
}

function edgeTone(edge: GraphEdge, plain: boolean): Tone {
  if (edge.mirrored) return 'data3'
  switch (edge.health.state) {
    case 'fail':
      return 'fail'
    case 'warn':
      return 'warn'
    case 'ok':
      return plain ? 'idle' : 'okQuiet'
    default:
      return 'idle'
  }
}

function touches(edge: GraphEdge, marks: Marks): boolean {
  return marks.hovered !== null && (edge.source === marks.hovered || edge.target === marks.hovered)
}

/** A node that stands outside the mesh, or has no sidecar that reports. */
export function isOutside(node: DrawnNode): boolean {
  return node.change === 'removed' || node.kind === 'external' || node.kind === 'unknown' || !node.meshed
}

export function nodeAlpha(node: DrawnNode, model: Model, marks: Marks): number {
  const lit = marks.selected === node.id || marks.focused === node.id || marks.hovered === node.id
  if (node.change === 'removed' && !lit) return gone
  return model.finding && !node.match && !lit ? 0.38 : 1
}

/** Both ends of a selected edge wear the ring as well. */
export function wearsHalo(id: string, model: Model, marks: Marks): boolean {
  if (marks.selected === id || marks.focused === id) return true
  const edge = marks.selected === null ? undefined : model.edges.get(marks.selected)
  return edge !== undefined && (edge.source === id || edge.target === id)
}

export function buildScene(
  model: Model,
  positions: ReadonlyMap<string, Point>,
  routes: ReadonlyMap<string, Polyline>,
  boxes: ReadonlyMap<string, Rect>,
  size: { w: number; h: number },
  marks: Marks,
): Scene {
  const edges: SceneEdge[] = []
  for (const edge of model.edges.values()) {
    const line = routes.get(edge.id)
    if (line) edges.push({ id: edge.id, line, style: edgeStyle(edge, model, marks) })
  }
  // The worst on top, the selected above all.
  edges.sort((a, b) => weight(a) - weight(b))
  const nodes: SceneNode[] = []
  for (const node of model.nodes.values()) {
    const at = positions.get(node.id)
    if (!at) continue
    const { state } = node.health
    nodes.push({
      id: node.id,
      rect: { x: at.x, y: at.y, w: size.w, h: size.h },
      health: state,
      fill: isOutside(node) ? 'canvas' : 'card',
      stroke: state === 'fail' || state === 'warn' ? state : 'line',
      dashed: isOutside(node),
      alpha: nodeAlpha(node, model, marks),
      halo: wearsHalo(node.id, model, marks),
    })
  }
  const groups: SceneGroup[] = []
  for (const group of model.groups) {
    const rect = boxes.get(group.id)
    if (rect) groups.push({ id: group.id, rect, dashed: group.outside })
  }
  return { edges, nodes, groups }
}

function weight(edge: SceneEdge): number {
  const tones: Partial<Record<Tone, number>> = { idle: 0, okQuiet: 1, data3: 1, warn: 2, fail: 3 }
  return (edge.style.halo ? 10 : 0) + (tones[edge.style.tone] ?? 1)
}

/** The arrowhead for a line of a width: how long and how wide to each side. */
export function arrowSize(width: number): { length: number; half: number } {
  const a = 4.2 + width * 0.7
  return { length: a + 1.5, half: a * 0.58 }
}
