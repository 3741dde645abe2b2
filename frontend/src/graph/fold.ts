import type { GraphEdge, GraphNode, GraphView, Health, HealthState, Traffic } from '@/api/types'
import type { Change } from './compare'
import { worse } from './health'

/**
 * Rolls namespaces up into one node each, so that no more is drawn than can be
 * read. Pure: a view in, a smaller view out, in the same shape. What is folded
 * is counted on its node; nothing disappears without a number.
 */

/** What stands behind a folded node; who they are is known only of those that were folded here. */
export type Fold = { members: string[]; states: HealthState[] }
/** A node of the graph as it is drawn: one of the server's, or several of them folded. */
export type DrawnNode = GraphNode & { fold?: Fold; change?: Change }
/** An edge as it is drawn; in a comparison it says what became of it. */
export type DrawnEdge = GraphEdge & { change?: Change }
export type DrawnView = { nodes: DrawnNode[]; edges: DrawnEdge[] }

/** The states that a mark each is drawn for: of what the server folded, it tells how many fail. */
const marksMost = 400

/** Nodes that the server folded, as those that are folded here. */
export function withFolds(view: DrawnView): DrawnView {
  if (!view.nodes.some((n) => n.folded)) return view
  const nodes = view.nodes.map((node): DrawnNode => {
    if (!node.folded) return node
    const { workloads, failing } = node.folded
    const rest = node.health.state === 'warn' || node.health.state === 'idle' ? node.health.state : 'ok'
    const states = Array.from({ length: Math.min(workloads, marksMost) }, (_, i): HealthState => (i < failing ? 'fail' : rest === 'idle' ? 'idle' : i === failing ? rest : 'ok'))
    return { ...node, fold: { members: [], states } }
  })
  return { ...view, nodes }
}

/** How many nodes and edges are drawn unless somebody asks for more. */
export const drawnMost = 150

export function foldedID(namespace: string): string {
  return `namespace:${namespace}`
}

/** What can fold: something of ours in a namespace, and not a whole namespace already. */
function foldable(node: GraphNode): boolean {
  return node.namespace !== '' && node.kind !== 'external' && node.kind !== 'unknown' && node.kind !== 'namespace' && node.kind !== 'rest'
}

/** The namespaces that have something to fold, with how much. */
export function foldableNamespaces(view: Pick<GraphView, 'nodes'>): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const node of view.nodes) {
    if (foldable(node)) sizes.set(node.namespace, (sizes.get(node.namespace) ?? 0) + 1)
    if (node.folded && node.kind === 'namespace') sizes.set(node.namespace, node.folded.workloads)
  }
  return sizes
}

/**
 * Which namespaces fold by themselves: none while everything fits, else the
 * largest first until it does. By size alone, so that a change of health or
 * rate folds and unfolds nobody.
 */
export function foldedByItself(view: Pick<GraphView, 'nodes' | 'edges'>, most = drawnMost): Set<string> {
  const folded = new Set<string>()
  if (view.nodes.length + view.edges.length <= most) return folded
  const namespaceOf = new Map(view.nodes.filter(foldable).map((n) => [n.id, n.namespace]))
  const touching = new Map<string, number[]>()
  view.edges.forEach((edge, i) => {
    for (const ns of new Set([namespaceOf.get(edge.source), namespaceOf.get(edge.target)])) if (ns !== undefined) push(touching, ns, i)
  })
  const sizes = [...foldableNamespaces(view)].map(([ns, n]) => ({ ns, n, size: n + (touching.get(ns)?.length ?? 0) }))
  sizes.sort((a, b) => b.size - a.size || a.ns.localeCompare(b.ns))

  // What is drawn of each edge: itself, one that it shares with others, or nothing within a fold.
  const at = (id: string) => {
    const ns = namespaceOf.get(id)
    return ns !== undefined && folded.has(ns) ? foldedID(ns) : id
  }
  const drawnAs = (i: number) => {
    const { source, target, protocol } = view.edges[i]!
    const [from, to] = [at(source), at(target)]
    return from === to && from !== source ? '' : `${from}>${to}:${protocol}`
  }
  const behind = new Map<string, number>()
  const place = (key: string, by: 1 | -1) => {
    const n = (behind.get(key) ?? 0) + by
    if (key !== '' && n > 0) behind.set(key, n)
    else behind.delete(key)
  }
  const keys = view.edges.map((_, i) => drawnAs(i))
  for (const key of keys) place(key, 1)
  let nodes = view.nodes.length
  for (const { ns, n } of sizes) {
    if (nodes + behind.size <= most || n < 2) break
    folded.add(ns)
    nodes -= n - 1
    for (const i of touching.get(ns) ?? []) {
      place(keys[i]!, -1)
      place((keys[i] = drawnAs(i)), 1)
    }
  }
  return folded
}

/** The view with the given namespaces as one node each. */
export function foldView(view: DrawnView, folded: ReadonlySet<string>): DrawnView {
  if (folded.size === 0) return view
  const home = new Map<string, string>()
  const members = new Map<string, GraphNode[]>()
  const nodes: DrawnNode[] = []
  for (const node of view.nodes) {
    if (!foldable(node) || !folded.has(node.namespace)) {
      nodes.push(node)
      continue
    }
    const id = foldedID(node.namespace)
    home.set(node.id, id)
    const list = members.get(id)
    if (list) list.push(node)
    else members.set(id, [node])
  }
  if (members.size === 0) return view
  const { edges, into, outOf } = foldEdges(view.edges, home)
  for (const [id, list] of members) nodes.push(foldNodes(id, list, into.get(id) ?? [], outOf.get(id) ?? []))
  return { nodes, edges }
}

function foldEdges(all: DrawnEdge[], home: ReadonlyMap<string, string>) {
  const edges: DrawnEdge[] = []
  const merged = new Map<string, GraphEdge[]>()
  const into = new Map<string, GraphEdge[]>()
  const outOf = new Map<string, GraphEdge[]>()
  for (const edge of all) {
    const source = home.get(edge.source) ?? edge.source
    const target = home.get(edge.target) ?? edge.target
    if (source === edge.source && target === edge.target) {
      edges.push(edge)
      continue
    }
    if (source === target) continue
    push(into, target, edge)
    push(outOf, source, edge)
    push(merged, `${source}>${target}:${edge.protocol}`, { ...edge, source, target })
  }
  for (const [id, list] of merged) edges.push(mergeEdges(id, list))
  return { edges, into, outOf }
}

function foldNodes(id: string, members: GraphNode[], into: GraphEdge[], outOf: GraphEdge[]): DrawnNode {
  const first = members[0]!
  const states = members.map((m) => m.health.state).sort((a, b) => (a === b ? 0 : worse(a, b) === a ? -1 : 1))
  const lead = into.length > 0 ? into : outOf
  return {
    id,
    kind: 'namespace',
    cluster: first.cluster,
    namespace: first.namespace,
    name: first.namespace,
    meshed: members.some((m) => m.meshed),
    health: healthOf(members.map((m) => ({ name: m.name, health: m.health }))),
    in: trafficOf(into),
    out: trafficOf(outOf),
    rps_series: sumSeries(lead.map((e) => e.rps_series)),
    match: members.some((m) => m.match === true) || undefined,
    fold: { members: members.map((m) => m.id), states },
  }
}

/** The worst state, and of each member in it the first reason. */
function healthOf(members: { name: string; health: Health }[]): Health {
  let state: HealthState = 'idle'
  for (const m of members) state = worse(state, m.health.state)
  if (state !== 'fail' && state !== 'warn') return { state, reasons: [] }
  const reasons = members
    .filter((m) => m.health.state === state)
    .flatMap((m) => m.health.reasons.slice(0, 1).map((r) => ({ ...r, text: `${m.name}: ${r.text}` })))
  return { state, reasons: reasons.slice(0, 3) }
}

function trafficOf(edges: GraphEdge[]): Traffic {
  const rps = sum(edges, (e) => e.rps)
  return {
    rps,
    error_ratio: weighted(edges, (e) => e.error_ratio),
    p50_ms: worst(edges, (e) => e.p50_ms),
    p95_ms: worst(edges, (e) => e.p95_ms),
    p99_ms: worst(edges, (e) => e.p99_ms),
    sent_bytes_per_s: sum(edges, (e) => e.sent_bytes_per_s),
    received_bytes_per_s: sum(edges, (e) => e.received_bytes_per_s),
    active_connections: sum(edges, (e) => e.active_connections),
  }
}

/**
 * Edges between the same two nodes as one. Rates add up and ratios are weighed
 * by them; of a percentile only the worst is known without the histograms, and
 * the worst is what is asked for.
 */
function mergeEdges(id: string, list: GraphEdge[]): GraphEdge {
  const first = list[0]!
  const { rps, error_ratio, p50_ms, p95_ms, p99_ms, ...bytes } = trafficOf(list)
  const answers = list.flatMap((e) => e.answers).sort((a, b) => b.rps - a.rps)
  return {
    ...first,
    ...bytes,
    id,
    rps,
    error_ratio,
    p50_ms,
    p95_ms,
    p99_ms,
    service: list.every((e) => e.service?.host === first.service?.host) ? first.service : undefined,
    codes: addUp(list.map((e) => e.codes)),
    flags: addUp(list.map((e) => e.flags)),
    answered_by: { upstream: sum(list, (e) => e.answered_by.upstream), proxy: sum(list, (e) => e.answered_by.proxy) },
    answers: answers.slice(0, 10),
    attempts_per_request: weighted(list, (e) => e.attempts_per_request),
    mirrored: list.every((e) => e.mirrored),
    new_connections_per_s: sum(list, (e) => e.new_connections_per_s),
    requests_per_connection: null,
    mtls_ratio: weighted(list, (e) => e.mtls_ratio),
    weight: undefined,
    client_side: null,
    server_side: null,
    health: healthOf(list.map((e) => ({ name: e.service?.name ?? nameIn(e.id), health: e.health }))),
    rps_series: sumSeries(list.map((e) => e.rps_series)),
    error_series: sumSeries(list.map((e) => e.error_series)),
    match: list.some((e) => e.match === true) || undefined,
  }
}

/** The called side's name out of an edge's id. */
function nameIn(id: string): string {
  return id.slice(id.lastIndexOf('>') + 1, id.lastIndexOf(':')).replace(/^.*[/:]/, '')
}

function sum<T>(list: T[], of: (item: T) => number): number {
  return list.reduce((s, item) => s + of(item), 0)
}

function weighted(edges: GraphEdge[], of: (edge: GraphEdge) => number): number {
  const rps = sum(edges, (e) => e.rps)
  if (rps === 0) return edges.length === 0 ? 0 : sum(edges, of) / edges.length
  return sum(edges, (e) => of(e) * e.rps) / rps
}

function worst(edges: GraphEdge[], of: (edge: GraphEdge) => number | null): number | null {
  let most: number | null = null
  for (const edge of edges) {
    const value = of(edge)
    if (value !== null && (most === null || value > most)) most = value
  }
  return most
}

function sumSeries(all: number[][]): number[] {
  const out = Array.from<number>({ length: Math.max(0, ...all.map((s) => s.length)) }).fill(0)
  for (const series of all) {
    const late = out.length - series.length
    series.forEach((v, i) => (out[i + late] = (out[i + late] ?? 0) + v))
  }
  return out
}

function addUp(all: Record<string, number>[]): Record<string, number> {
  const out: Record<string, number> = {}
  for (const one of all) for (const [key, value] of Object.entries(one)) out[key] = (out[key] ?? 0) + value
  return out
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}
