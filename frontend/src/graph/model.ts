import type { GraphEdge, GraphNode, GraphView, HealthState } from '@/api/types'
import { outsideGroup } from './geometry'

/**
 * What is to be drawn, derived from the server's view: who stands in which
 * box, who is hidden by the find expression, and who is joined to whom.
 */

export type Group = { id: string; name: string; members: string[]; outside: boolean; health: HealthState; rpsIn: number; rpsOut: number }

export type Model = {
  nodes: ReadonlyMap<string, GraphNode>
  edges: ReadonlyMap<string, GraphEdge>
  outgoing: ReadonlyMap<string, GraphEdge[]>
  incoming: ReadonlyMap<string, GraphEdge[]>
  groups: Group[]
  groupOf: ReadonlyMap<string, string>
  hidden: { nodes: number; edges: number }
  /** An expression is at work: elements without a match are dimmed. */
  finding: boolean
  /** Some edge is mutual TLS: only then plaintext is worth a mark. */
  secured: boolean
  /** Changes when elements come or go, not when their figures change. */
  structure: string
}

const rank: Record<HealthState, number> = { fail: 0, warn: 1, unknown: 2, ok: 3, idle: 4 }

/** The worse of two states; unknown is no news, so it never hides a finding. */
export function worse(a: HealthState, b: HealthState): HealthState {
  return rank[a] <= rank[b] ? a : b
}

export function buildModel(view: Pick<GraphView, 'nodes' | 'edges' | 'matched'>, hideMatches = false): Model {
  const finding = view.matched !== undefined && view.matched !== null
  const hide = finding && hideMatches
  const nodes = new Map<string, GraphNode>()
  for (const node of view.nodes) if (!(hide && node.match)) nodes.set(node.id, node)

  const edges = new Map<string, GraphEdge>()
  const outgoing = new Map<string, GraphEdge[]>()
  const incoming = new Map<string, GraphEdge[]>()
  for (const edge of view.edges) {
    if (!nodes.has(edge.source) || !nodes.has(edge.target) || (hide && edge.match)) continue
    edges.set(edge.id, edge)
    push(outgoing, edge.source, edge)
    push(incoming, edge.target, edge)
  }
  const groupOf = new Map<string, string>()
  for (const node of nodes.values()) {
    const group = groupID(node)
    if (group) groupOf.set(node.id, group)
  }
  return {
    nodes,
    edges,
    outgoing,
    incoming,
    groupOf,
    groups: groupsOf(nodes, incoming, outgoing, groupOf),
    hidden: { nodes: view.nodes.length - nodes.size, edges: view.edges.length - edges.size },
    finding: finding && !hideMatches,
    secured: [...edges.values()].some((e) => e.mtls_ratio > 0.5),
    structure: `${[...nodes.keys()].sort().join('\n')}\n\n${[...edges.keys()].sort().join('\n')}`,
  }
}

/** The box a node stands in; callers that nobody knows and whole namespaces stand in none. */
function groupID(node: GraphNode): string | null {
  if (node.kind === 'external') return outsideGroup
  if (node.kind === 'unknown' || node.kind === 'namespace' || node.namespace === '') return null
  return `namespace:${node.namespace}`
}

function groupsOf(
  nodes: ReadonlyMap<string, GraphNode>,
  incoming: ReadonlyMap<string, GraphEdge[]>,
  outgoing: ReadonlyMap<string, GraphEdge[]>,
  groupOf: ReadonlyMap<string, string>,
): Group[] {
  const groups = new Map<string, Group>()
  for (const node of nodes.values()) {
    const id = groupOf.get(node.id)
    if (id === undefined) continue
    const outside = id === outsideGroup
    const group = groups.get(id) ?? {
      id,
      name: outside ? 'Outside the mesh' : node.namespace,
      members: [],
      outside,
      health: 'idle',
      rpsIn: 0,
      rpsOut: 0,
    }
    group.members.push(node.id)
    group.health = worse(group.health, node.health.state)
    for (const edge of incoming.get(node.id) ?? []) if (groupOf.get(edge.source) !== id) group.rpsIn += edge.rps
    for (const edge of outgoing.get(node.id) ?? []) if (groupOf.get(edge.target) !== id) group.rpsOut += edge.rps
    groups.set(id, group)
  }
  return [...groups.values()].sort((a, b) => Number(a.outside) - Number(b.outside) || a.name.localeCompare(b.name))
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}

/** "18 services drawn, 0 hidden" */
export function countInWords(model: Model, group: string): string {
  const word = group === 'namespace' ? 'namespace' : group === 'service' ? 'service' : 'workload'
  const n = model.nodes.size
  const hidden = model.hidden.nodes + model.hidden.edges
  return `${n} ${n === 1 ? word : `${word}s`}, ${model.edges.size} ${model.edges.size === 1 ? 'edge' : 'edges'} drawn, ${hidden} hidden`
}
