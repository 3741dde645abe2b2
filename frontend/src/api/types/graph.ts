/** The live graph, its changes and comparisons. */

import type { Health, HealthState, Protocol, Service } from './mesh'
import type { NodeState } from './nodes'
import type { Marker } from './overview'

export type GraphGroup = 'workload' | 'app' | 'versioned' | 'service' | 'namespace'
export type StaleSource = { source: string; node?: string; since: string; reason: string }
export type Totals = { rps: number; error_ratio: number; p95_ms: number | null }

export type GraphView = {
  epoch: string
  seq: number
  at: string
  window_s: number
  group: string
  nodes: GraphNode[]
  edges: GraphEdge[]
  stale: StaleSource[]
  folded?: Folded
  matched?: { nodes: number; edges: number }
  hidden?: { nodes: number; edges: number }
  totals: Totals
  limits: { edges: number; edges_max: number; dropped: number }
}

/** What became of the graph between two times. */
export type GraphDiff = {
  from: string
  to: string
  window_s: number
  group: string
  nodes: { added: GraphNode[]; removed: GraphNode[]; changed: GraphChange[] }
  edges: { added: GraphEdge[]; removed: GraphEdge[]; changed: GraphChange[] }
  markers: Marker[]
}
export type GraphChange = { id: string; before: GraphFigures; after: GraphFigures; what: string[] }
export type GraphFigures = {
  health: HealthState
  rps: number
  error_ratio: number
  p95_ms: number | null
  revision?: number
}

/** What stands behind one node, or behind all that are folded. */
export type Folded = { namespaces: number; workloads: number; failing: number }

export type GraphDelta = {
  nodes: GraphNode[]
  edges: GraphEdge[]
  gone_nodes: string[]
  gone_edges: string[]
  stale: StaleSource[]
  totals: Totals
  window_s: number
  folded?: Folded
  matched?: { nodes: number; edges: number }
  hidden?: { nodes: number; edges: number }
}

export type NodeKind = 'workload' | 'service' | 'app' | 'namespace' | 'external' | 'unknown' | 'rest'

export type GraphNode = {
  id: string
  kind: NodeKind
  cluster?: string
  namespace: string
  name: string
  app?: string
  version?: string
  meshed: boolean
  gateway?: boolean
  folded?: Folded
  config?: { state: NodeState; revision: number; behind: number; nodes: number }
  health: Health
  in: Traffic
  out: Traffic
  rps_series: number[]
  match?: boolean
}

export type Traffic = {
  rps: number
  error_ratio: number
  p50_ms: number | null
  p95_ms: number | null
  p99_ms: number | null
  sent_bytes_per_s: number
  received_bytes_per_s: number
  active_connections: number
}

export type EdgeSide = {
  rps: number
  error_ratio: number
  p50_ms: number | null
  p95_ms: number | null
  p99_ms: number | null
}

export type Answer = {
  code: number
  grpc?: string
  flags: string
  by: 'upstream' | 'proxy'
  details: string
  object: string
  rps: number
}

export type GraphEdge = {
  id: string
  source: string
  target: string
  protocol: Protocol
  service?: Service
  rps: number
  error_ratio: number
  p50_ms: number | null
  p95_ms: number | null
  p99_ms: number | null
  codes: Record<string, number>
  flags: Record<string, number>
  answered_by: { upstream: number; proxy: number }
  answers: Answer[]
  attempts_per_request: number
  mirrored: boolean
  new_connections_per_s: number
  requests_per_connection: number | null
  mtls_ratio: number
  sent_bytes_per_s: number
  received_bytes_per_s: number
  active_connections: number
  weight?: { configured: number; actual: number }
  client_side: EdgeSide | null
  server_side: EdgeSide | null
  health: Health
  rps_series: number[]
  error_series: number[]
  match?: boolean
}
