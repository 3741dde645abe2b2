import { Graph, layout as dagre } from '@dagrejs/dagre'
import { bounds, boxPadding, card, cardRect, outsideGroup, type Point, type Polyline, type Rect } from './geometry'
import { type Link, routeEdges } from './route'

/**
 * Lays a whole graph out from left to right: dagre inside each box, the boxes
 * among each other again by dagre, and what is outside the mesh in a column at
 * the right, each beside its callers. Pure and deterministic; runs in a worker
 * and only when asked: afterwards positions are kept (see sticky.ts).
 */

export type LayoutInput = {
  nodes: { id: string; group: string | null }[]
  edges: Link[]
}
export type Positions = Record<string, Point>
/** Where everybody stands, and the edges between them. */
export type Layout = { positions: Positions; routes: Map<string, Polyline> }

const columnGap = 78
const rowGap = 34
const boxGap = { x: 56, y: 26 }
const dagreMost = 150

export function laidOut(input: LayoutInput): Layout {
  const positions = layoutGraph(input)
  return { positions, routes: routeEdges(input.edges, new Map(Object.entries(positions))) }
}

export function layoutGraph(given: { nodes: LayoutInput['nodes']; edges: { source: string; target: string }[] }): Positions {
  // The order in which elements came must not show.
  const input = {
    nodes: given.nodes.toSorted((a, b) => a.id.localeCompare(b.id)),
    edges: given.edges.toSorted((a, b) => a.source.localeCompare(b.source) || a.target.localeCompare(b.target)),
  }
  const boxes = new Map<string, Block>()
  const members = new Map<string, string[]>()
  const blockOf = new Map<string, string>()
  for (const node of input.nodes) {
    const block = node.group ?? `node ${node.id}`
    blockOf.set(node.id, block)
    members.set(block, [...(members.get(block) ?? []), node.id])
  }
  for (const [block, ids] of members) {
    if (block === outsideGroup) continue
    const inside = input.edges.filter((e) => blockOf.get(e.source) === block && blockOf.get(e.target) === block)
    boxes.set(block, block.startsWith('node ') ? single(ids) : boxed(ids, inside))
  }
  const between = input.edges
    .map((e) => ({ source: blockOf.get(e.source) ?? '', target: blockOf.get(e.target) ?? '' }))
    .filter((e) => e.source !== e.target && boxes.has(e.source) && boxes.has(e.target))
  const blocks = [...boxes].map(([id, b]) => ({ id, w: b.size.w, h: b.size.h }))
  const corners = wrapped(blocks, arrange(blocks, between, boxGap.x, boxGap.y))

  const positions: Positions = {}
  for (const [id, block] of boxes) {
    const corner = corners[id] ?? { x: 0, y: 0 }
    for (const [node, at] of Object.entries(block.at)) positions[node] = { x: corner.x + at.x, y: corner.y + at.y }
  }
  placeOutside(members.get(outsideGroup) ?? [], input.edges, positions)
  return positions
}

type Block = { at: Positions; size: { w: number; h: number } }

function single(ids: string[]): Block {
  return { at: { [ids[0]!]: { x: 0, y: 0 } }, size: { w: card.w, h: card.h } }
}

/** A box: what is joined by dagre, the rest as rows below. */
function boxed(ids: string[], edges: { source: string; target: string }[]): Block {
  const joined = new Set(edges.filter((e) => e.source !== e.target).flatMap((e) => [e.source, e.target]))
  const linked = ids.filter((id) => joined.has(id))
  const loose = ids.filter((id) => !joined.has(id))
  const at =
    linked.length > dagreMost
      ? layered(linked, edges)
      : arrange(linked.map((id) => ({ id, ...card })), edges, columnGap, rowGap)
  const extent = bounds(Object.values(at).map(cardRect))
  const columns = Math.max(1, Math.min(loose.length, Math.max(columnsOf(extent), Math.ceil(Math.sqrt(loose.length / 2)))))
  const below = extent ? extent.h + rowGap : 0
  loose.forEach((id, i) => {
    at[id] = { x: (i % columns) * (card.w + columnGap), y: below + Math.floor(i / columns) * (card.h + rowGap) }
  })
  const all = bounds(Object.values(at).map(cardRect)) ?? { x: 0, y: 0, ...card }
  const shifted: Positions = {}
  for (const [id, p] of Object.entries(at)) {
    shifted[id] = { x: p.x - all.x + boxPadding.left, y: p.y - all.y + boxPadding.top }
  }
  return {
    at: shifted,
    size: { w: all.w + boxPadding.left + boxPadding.right, h: all.h + boxPadding.top + boxPadding.bottom },
  }
}

function columnsOf(extent: Rect | null): number {
  return extent ? Math.round((extent.w + columnGap) / (card.w + columnGap)) : 1
}

/** Dagre from left to right; gives top-left corners, the leftmost and topmost at 0. */
function arrange(
  nodes: { id: string; w: number; h: number }[],
  edges: { source: string; target: string }[],
  ranksep: number,
  nodesep: number,
): Positions {
  const graph = new Graph()
  graph.setGraph({ rankdir: 'LR', ranker: 'tight-tree', ranksep, nodesep, edgesep: 14 })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const n of nodes) graph.setNode(n.id, { width: n.w, height: n.h })
  for (const e of edges) {
    if (e.source !== e.target && graph.hasNode(e.source) && graph.hasNode(e.target)) graph.setEdge(e.source, e.target)
  }
  if (nodes.length > 0) dagre(graph)
  const at: Positions = {}
  let left = Infinity
  let top = Infinity
  for (const n of nodes) {
    const placed = graph.node(n.id) as { x: number; y: number }
    const p = { x: placed.x - n.w / 2, y: placed.y - n.h / 2 }
    left = Math.min(left, p.x)
    top = Math.min(top, p.y)
    at[n.id] = p
  }
  for (const p of Object.values(at)) {
    p.x = Math.round(p.x - left)
    p.y = Math.round(p.y - top)
  }
  return at
}

const widest = 2.4 // as a multiple of the height
const wrapFrom = 2600

/**
 * A long chain of boxes is broken into rows, as text is: a strip twenty times
 * as wide as high fits no screen.
 */
function wrapped(blocks: { id: string; w: number; h: number }[], at: Positions): Positions {
  const rects = blocks.map((b) => ({ ...b, ...at[b.id]! })).sort((a, b) => a.x - b.x || a.y - b.y)
  const extent = bounds(rects)
  if (!extent || extent.w < wrapFrom || extent.w < widest * extent.h) return at
  const area = rects.reduce((sum, r) => sum + (r.w + boxGap.x) * (r.h + boxGap.y), 0)
  const width = Math.max(wrapFrom / 2, Math.sqrt(area * 2.8))
  const out: Positions = {}
  let row: typeof rects = []
  let top = 0
  const close = () => {
    const box = bounds(row)
    if (!box) return
    for (const r of row) out[r.id] = { x: Math.round(r.x - box.x), y: Math.round(r.y - box.y + top) }
    top += box.h + boxGap.y * 2
    row = []
  }
  for (const r of rects) {
    const box = bounds([...row, r])
    // What overlaps in x stands in one column, and columns are not broken.
    const sameColumn = row.some((o) => r.x < o.x + o.w)
    if (box && row.length > 0 && !sameColumn && box.w > width) close()
    row.push(r)
  }
  close()
  return out
}

/** For big boxes: columns by longest path, rows by the mean of the callers' rows. */
function layered(ids: string[], edges: { source: string; target: string }[]): Positions {
  const column = new Map(ids.map((id) => [id, 0]))
  // Cycles end after a bounded number of rounds; the rest is then good enough.
  for (let round = 0; round < 24; round++) {
    let moved = false
    for (const e of edges) {
      const wanted = (column.get(e.source) ?? 0) + 1
      if (e.source === e.target || wanted > 24 || (column.get(e.target) ?? 0) >= wanted) continue
      column.set(e.target, wanted)
      moved = true
    }
    if (!moved) break
  }
  const rows = new Map<string, number>()
  const columns: string[][] = []
  for (const id of ids) (columns[column.get(id) ?? 0] ??= []).push(id)
  const at: Positions = {}
  columns.forEach((list, c) => {
    const mean = (id: string) => {
      const callers = edges.filter((e) => e.target === id && rows.has(e.source))
      return callers.length === 0 ? 0 : callers.reduce((s, e) => s + (rows.get(e.source) ?? 0), 0) / callers.length
    }
    const keyed = list.map((id) => ({ id, key: mean(id) })).sort((a, b) => a.key - b.key || a.id.localeCompare(b.id))
    keyed.forEach(({ id }, r) => {
      rows.set(id, r)
      at[id] = { x: c * (card.w + columnGap), y: r * (card.h + rowGap) }
    })
  })
  return at
}

/** One column at the right; each stands as near to its callers as there is room. */
function placeOutside(ids: string[], edges: { source: string; target: string }[], positions: Positions): void {
  const extent = bounds(Object.values(positions).map(cardRect))
  const x = extent ? extent.x + extent.w + boxPadding.right + boxGap.x + boxPadding.left : 0
  const wanted = ids.map((id) => {
    const callers = edges.filter((e) => e.target === id).flatMap((e) => positions[e.source] ?? [])
    const y = callers.length === 0 ? (extent?.y ?? 0) : callers.reduce((s, p) => s + p.y, 0) / callers.length
    return { id, y }
  })
  wanted.sort((a, b) => a.y - b.y || a.id.localeCompare(b.id))
  let free = -Infinity
  for (const { id, y } of wanted) {
    const top = Math.max(y, free)
    positions[id] = { x, y: Math.round(top) }
    free = top + card.h + rowGap
  }
}
