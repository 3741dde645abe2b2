import type { GraphNode, GraphView, HealthState } from '@/api/types'
import { count, plural } from '@/lib/format'
import { focusView } from './focus'
import { type DrawnEdge, type DrawnNode, type DrawnView, foldedByItself, foldView, withFolds } from './fold'
import { outsideGroup } from './geometry'
import { worse } from './health'

/**
 * What is to be drawn, derived from the server's view: who is hidden by the
 * find expression, folded or out of focus, who stands in which box, and who is
 * joined to whom.
 */

/** How a view becomes a picture; what is not said is left as it is. */
export type Choice = {
  /** Take away what matches, instead of dimming what does not. */
  hide?: boolean
  /** Namespaces to fold. */
  fold?: ReadonlySet<string>
  /** Folds as many others as it takes to be readable, but for those that are to stay open. */
  auto?: { open: ReadonlySet<string> }
  /** A node's id; with it only what is at most `hops` calls away is drawn. */
  focus?: string
  hops?: number
}

export type Group = { id: string; name: string; members: string[]; outside: boolean; health: HealthState; rpsIn: number; rpsOut: number }

export type Model = {
  nodes: ReadonlyMap<string, DrawnNode>
  edges: ReadonlyMap<string, DrawnEdge>
  outgoing: ReadonlyMap<string, DrawnEdge[]>
  incoming: ReadonlyMap<string, DrawnEdge[]>
  groups: Group[]
  groupOf: ReadonlyMap<string, string>
  hidden: { nodes: number; edges: number }
  /** The namespaces that are folded, and what stands behind them. */
  folded: { namespaces: ReadonlySet<string>; members: number }
  /** Nodes farther away from the one in focus than asked for. */
  beyond: number
  /** An expression is at work: elements without a match are dimmed. */
  finding: boolean
  /** Some edge is mutual TLS: only then plaintext is worth a mark. */
  secured: boolean
  /** Changes when elements come or go, not when their figures change. */
  structure: string
}

/** A view of the server's, or two of them compared. */
export type Given = DrawnView & Pick<GraphView, 'matched'>

export function buildModel(given: Given, choice: Choice = {}): Model {
  const finding = given.matched !== undefined && given.matched !== null
  const kept = choice.hide && finding ? withoutMatches(given) : given
  // Where the server has folded, it has folded enough.
  const auto = choice.auto && !kept.nodes.some((n) => n.folded) ? choice.auto : undefined
  // In focus first: what is left may be little enough to fold nobody.
  const near = focusView(kept, choice.focus, choice.hops ?? 1)
  const byItself = auto ? [...foldedByItself(near.view)].filter((ns) => !auto.open.has(ns)) : []
  const folded = withFolds(foldView(near.view, new Set([...(choice.fold ?? nobody), ...byItself])))
  // Who is in focus may itself be folded; then it is known only now.
  const { view, beyond } = near.found ? { view: folded, beyond: near.beyond } : focusView(folded, choice.focus, choice.hops ?? 1)

  const nodes = new Map(view.nodes.map((n) => [n.id, n]))
  const edges = new Map<string, DrawnEdge>()
  const outgoing = new Map<string, DrawnEdge[]>()
  const incoming = new Map<string, DrawnEdge[]>()
  for (const edge of view.edges) {
    if (!nodes.has(edge.source) || !nodes.has(edge.target)) continue
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
    hidden: { nodes: given.nodes.length - kept.nodes.length, edges: given.edges.length - kept.edges.length },
    folded: foldedOf(view),
    beyond,
    finding: finding && !choice.hide,
    secured: [...edges.values()].some((e) => e.mtls_ratio > 0.5),
    structure: `${[...nodes.keys()].sort().join('\n')}\n\n${[...edges.keys()].sort().join('\n')}`,
  }
}

const nobody: ReadonlySet<string> = new Set()

function withoutMatches(view: Given) {
  const nodes = view.nodes.filter((n) => !n.match || n.folded)
  const left = new Set(nodes.map((n) => n.id))
  return { ...view, nodes, edges: view.edges.filter((e) => !e.match && left.has(e.source) && left.has(e.target)) }
}

function foldedOf(view: Pick<DrawnView, 'nodes'>): Model['folded'] {
  const folds = view.nodes.filter((n) => n.fold)
  return { namespaces: new Set(folds.map((n) => n.namespace)), members: folds.reduce((s, n) => s + (n.folded?.workloads ?? n.fold?.states.length ?? 0), 0) }
}

/** The box a node stands in; callers that nobody knows and whole namespaces stand in none. */
function groupID(node: GraphNode): string | null {
  if (node.kind === 'external') return outsideGroup
  if (node.kind === 'unknown' || node.kind === 'namespace' || node.kind === 'rest' || node.namespace === '') return null
  return `namespace:${node.namespace}`
}

function groupsOf(
  nodes: ReadonlyMap<string, GraphNode>,
  incoming: ReadonlyMap<string, DrawnEdge[]>,
  outgoing: ReadonlyMap<string, DrawnEdge[]>,
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
  return [...groups.values()].sort((a, b) => Number(a.outside) - Number(b.outside) || (a.name < b.name ? -1 : 1))
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}

/** "18 services and 24 edges drawn, 12 workloads folded, 0 hidden" */
export function countInWords(model: Model, group: string): string {
  const noun = nounOf(group)
  const drawn = [...model.nodes.values()].filter((n) => !n.fold).length
  const parts = [`${plural(drawn, noun)}, ${plural(model.edges.size, 'edge')} drawn`]
  if (model.folded.members > 0) parts.push(`${plural(model.folded.members, noun)} folded`)
  parts.push(`${count(model.hidden.nodes + model.hidden.edges)} hidden`)
  if (model.beyond > 0) parts.push(`${count(model.beyond)} out of focus`)
  return parts.join(', ')
}

/** What one node of a level is. */
export function nounOf(group: string): string {
  return group === 'namespace' || group === 'service' || group === 'app' ? group : group === 'versioned' ? 'version' : 'workload'
}
