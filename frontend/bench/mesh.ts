import type { GraphEdge, GraphNode, GraphView, HealthState, Traffic } from '@/api/types'

/** A generated mesh of any size: namespaces of fifty workloads that mostly call each other. */

const perNamespace = 50

/** Mulberry32: the same mesh in every run. */
function random(seed: number): () => number {
  let at = seed
  return () => {
    at = (at + 0x6d2b79f5) | 0
    let t = Math.imul(at ^ (at >>> 15), 1 | at)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

export function mesh(nodeCount: number, edgeCount: number, seed = 7): GraphView {
  const next = random(seed)
  const nodes = Array.from({ length: nodeCount }, (_, i) => node(i, next))
  const edges = new Map<string, GraphEdge>()
  const spaces = Math.ceil(nodeCount / perNamespace)
  while (edges.size < edgeCount) {
    const a = Math.floor(next() * nodeCount)
    const space = Math.floor(a / perNamespace)
    // Four of five stay in their namespace; the rest goes to one of two others.
    const to = next() < 0.8 ? space : (space + 1 + Math.floor(next() * 2)) % spaces
    const b = Math.min(nodeCount - 1, to * perNamespace + Math.floor(next() * perNamespace))
    if (a === b || (to === space && b < a)) continue
    const e = edge(nodes[a]!.id, nodes[b]!.id, next)
    edges.set(e.id, e)
  }
  return {
    epoch: 'bench', seq: 1, at: '2026-01-01T00:00:00Z', window_s: 30, group: 'workload', nodes, edges: [...edges.values()], stale: [],
    totals: { rps: 0, error_ratio: 0, p95_ms: null }, limits: { edges: edgeCount, edges_max: 60_000, dropped: 0 },
  }
}

/** The same mesh a tick later: a share of it has other figures, and as many workloads left and came. */
export function later(view: GraphView, share: number, replaced: boolean): GraphView {
  const next = random(view.nodes.length + view.seq)
  const every = Math.round(1 / share)
  const gone = new Set(replaced ? view.nodes.filter((_, i) => i % every === 3).map((n) => n.id) : [])
  const rename = (id: string) => (gone.has(id) ? `${id}-next` : id)
  return {
    ...view,
    seq: view.seq + 1,
    nodes: view.nodes.map((n, i) => (gone.has(n.id) ? { ...n, id: rename(n.id), name: `${n.name}-next` } : i % every === 0 ? { ...n, in: traffic(next) } : n)),
    edges: view.edges.map((e, i) => {
      if (gone.has(e.source) || gone.has(e.target)) return edge(rename(e.source), rename(e.target), next)
      return i % every === 0 ? { ...e, rps: next() * 400 } : e
    }),
  }
}

function traffic(next: () => number): Traffic {
  return { rps: next() * 400, error_ratio: next() * 0.01, p50_ms: 4, p95_ms: 20, p99_ms: 60, sent_bytes_per_s: 1000, received_bytes_per_s: 1000, active_connections: 3 }
}

function state(next: () => number): HealthState {
  const r = next()
  return r < 0.02 ? 'fail' : r < 0.06 ? 'warn' : 'ok'
}

function series(next: () => number): number[] {
  return Array.from({ length: 60 }, () => next() * 100)
}

function node(i: number, next: () => number): GraphNode {
  const namespace = `team-${Math.floor(i / perNamespace)}`
  const name = `service-${i}`
  return {
    id: `workload:${namespace}/${name}`, kind: 'workload', namespace, name, app: name, version: 'v1', meshed: true,
    health: { state: state(next), reasons: [] }, in: traffic(next), out: traffic(next), rps_series: series(next),
  }
}

function edge(source: string, target: string, next: () => number): GraphEdge {
  return {
    id: `${source}>${target}:http`, source, target, protocol: 'http', rps: next() * 400, error_ratio: next() * 0.01, p50_ms: 4, p95_ms: 20, p99_ms: 60,
    codes: { 200: 10 }, flags: {}, answered_by: { upstream: 10, proxy: 0 }, answers: [], attempts_per_request: 1, mirrored: false, new_connections_per_s: 0.1,
    requests_per_connection: 100, mtls_ratio: 1, sent_bytes_per_s: 1000, received_bytes_per_s: 1000, active_connections: 3, client_side: null, server_side: null,
    health: { state: state(next), reasons: [] }, rps_series: series(next), error_series: series(next),
  }
}
