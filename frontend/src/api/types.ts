/**
 * The HTTP and live contract, as the server's Go structs write it. Times are
 * RFC 3339; every number has its unit in its name; lists are never null.
 */

export type Workload = { cluster?: string; namespace: string; name: string; app?: string; version?: string }
export type Service = { host: string; namespace: string; name: string }
export type Protocol = 'http' | 'grpc' | 'tcp'
export type HealthState = 'ok' | 'warn' | 'fail' | 'idle' | 'unknown'
export type HealthReason = { code: string; text: string; since?: string }
export type Health = { state: HealthState; reasons: HealthReason[] }
export type ApiErrorBody = { code: string; message: string; hint?: string }

// ── Graph ────────────────────────────────────────────────────────────────

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
  matched?: { nodes: number; edges: number }
  totals: Totals
  limits: { edges: number; edges_max: number; dropped: number }
}

export type GraphDelta = {
  nodes: GraphNode[]
  edges: GraphEdge[]
  gone_nodes: string[]
  gone_edges: string[]
  stale: StaleSource[]
  totals: Totals
  window_s: number
  matched?: { nodes: number; edges: number }
}

export type NodeKind = 'workload' | 'service' | 'app' | 'namespace' | 'external' | 'unknown'

export type GraphNode = {
  id: string
  kind: NodeKind
  cluster?: string
  namespace: string
  name: string
  app?: string
  version?: string
  meshed: boolean
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

// ── Timeline and overview ────────────────────────────────────────────────

export type Marker = {
  at: string
  kind: 'config' | 'start' | 'stop' | 'alert'
  text: string
  revision?: number
  severity?: HealthState
}
export type Timeline = { from: string; step_s: number; rps: number[]; errors_per_s: number[]; markers: Marker[] }

export type Finding = { severity: HealthState; text: string; link: string }
export type NamespaceItem = {
  name: string
  health: Health
  workloads: number
  meshed: number
  rps: number
  error_ratio: number
}
export type OverviewService = {
  id: string
  namespace: string
  name: string
  health: Health
  rps: number
  error_ratio: number
  p95_ms: number | null
  rps_series: number[]
}
export type Overview = {
  at: string
  findings: Finding[]
  totals: Totals
  namespaces: NamespaceItem[]
  services: OverviewService[]
  error_edges: GraphEdge[]
  coverage: { workloads: number; meshed: number; unmeshed: string[] }
  convergence: {
    revision: number
    nodes: number
    synced: number
    applied_p50_ms: number | null
    applied_p99_ms: number | null
    not_synced: { id: string; state: NodeState; reason: string }[]
  }
  cost: {
    proxies: number
    cpu_cores: number
    memory_bytes: number
    added_p50_ms: number | null
    added_p99_ms: number | null
    cpu_us_per_request: number | null
  }
}

// ── Nodes: configuration skew ────────────────────────────────────────────

export type NodeState =
  | 'synced'
  | 'in-flight'
  | 'slow'
  | 'stale'
  | 'rejected'
  | 'disconnected'
  | 'never-connected'
  | 'drifted'
  | 'unsupported'

export type NodesSummary = {
  nodes: number
  synced: number
  by_state: Partial<Record<NodeState, number>>
  by_revision: { revision: number; nodes: number; state_note?: string }[]
}
export type Spread = {
  revision: number
  accepted_at: string
  sent_ms: number[]
  acked_ms: number[]
  applied_ms: number[]
  waiting: number
}
export type NodesView = {
  at: string
  epoch: string
  seq: number
  desired: Revision | null
  summary: NodesSummary
  spread: Spread
  nodes: NodeStatus[]
}
export type NodesDelta = {
  nodes: NodeStatus[]
  gone: string[]
  desired: Revision | null
  summary: NodesSummary
  spread: Spread
}
export type NodeStatus = {
  id: string
  workload: Workload
  kind: string
  build: string
  address?: string
  state: NodeState
  since: string
  reason: string
  connected: boolean
  connected_at?: string
  disconnected_at?: string
  last_seen?: string
  started_at?: string
  revision: number
  behind: number
  lag_s: number
  push: { sent_ms: number | null; acked_ms: number | null; applied_ms: number | null }
  history: Transition[]
}
export type Transition = { at: string; state: NodeState; revision: number; note?: string }
export type Connection = { connected_at: string; disconnected_at?: string; reason?: string }
export type NodeDetail = NodeStatus & { resources: ResourceStatus[]; connections: Connection[] }
export type ResourceStatus = {
  type: 'listener' | 'route' | 'cluster' | 'endpoint'
  name: string
  desired: string
  sent: string
  acked: string
  applied: string
  sent_at?: string
  acked_at?: string
  applied_at?: string
  state: NodeState
  error?: string
  objects: string[]
}

// ── Configuration ────────────────────────────────────────────────────────

export type ObjectChange = { op: 'added' | 'changed' | 'removed'; kind: string; namespace: string; name: string }
export type Revision = {
  number: number
  at: string
  by: string
  source: string
  summary: string
  objects: ObjectChange[]
  hash: string
}
export type ConfigObject = {
  kind: string
  api_version: string
  namespace: string
  name: string
  source: string
  line: number
  yaml: string
  revision: number
}
export type Problem = {
  severity: 'error' | 'warning'
  code: string
  file: string
  line: number
  column: number
  path: string
  message: string
  hint: string
  object?: string
}

// ── Inventory ────────────────────────────────────────────────────────────

export type WorkloadItem = GraphNode & { instances: number; nodes: string[] }
export type ServiceItem = {
  host: string
  namespace: string
  name: string
  external: boolean
  ports: { name: string; number: number; protocol: string }[]
  endpoints: number
  health: Health
  in: Traffic
  workloads: string[]
}
export type Inventory<T> = { at: string; items: T[] }

// ── Traces ───────────────────────────────────────────────────────────────

export type TraceSearch = { traces: TraceSummary[]; total_scanned: number; complete: boolean }
export type TraceSummary = {
  trace_id: string
  service: string
  operation: string
  start: string
  duration_ms: number
  spans: number
  errors: number
  status: number
  services: { name: string; spans: number; errors: number }[]
}
export type Trace = {
  trace_id: string
  start: string
  duration_ms: number
  spans: Span[]
  critical_path: string[]
  services: string[]
  problems: string[]
}
export type Attribute = { key: string; value: string }
export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer'
export type Span = {
  span_id: string
  parent_id: string
  depth: number
  service: string
  workload: string
  operation: string
  kind: SpanKind
  start_us: number
  duration_us: number
  self_us: number
  status: 'unset' | 'ok' | 'error'
  message?: string
  attributes: Attribute[]
  events: { at_us: number; name: string; attributes: Attribute[] }[]
}

// ── Tap ──────────────────────────────────────────────────────────────────

export type TapAttempt = {
  endpoint: string
  workload?: string
  start_ms: number
  duration_ms: number
  status: number
  flags: string
  reason?: string
}
export type TapHeader = { name: string; value: string; redacted?: boolean; bytes?: number }
export type TapEvent = {
  seq: number
  at: string
  node: string
  direction: string
  source: Workload
  destination: Workload
  service: Service
  protocol: Protocol
  method?: string
  authority?: string
  path?: string
  status: number
  grpc_status?: string
  flags: string
  answered_by: string
  details?: string
  route?: string
  route_object?: string
  cluster?: string
  revision?: number
  attempts: TapAttempt[]
  duration_ms: number
  first_byte_ms?: number
  proxy_ms: number
  request_bytes: number
  response_bytes: number
  trace_id?: string
  span_id?: string
  tls: string
  request_headers?: TapHeader[]
  response_headers?: TapHeader[]
}
export type TapLedger = {
  matched: number
  delivered: number
  sampled_out: number
  dropped_sidecar: number
  dropped_server: number
  dropped_socket: number
}
export type TapFrame = { events: TapEvent[]; ledger: TapLedger; sidecars: number }

// ── Status ───────────────────────────────────────────────────────────────

export type Status = {
  version: string
  started_at: string
  uptime_s: number
  mode: string
  counts: {
    services: number
    workloads: number
    proxies: number
    edges: number
    requests: number
    errors: number
    spans: number
    traces: number
    tap_events: number
    revisions: number
    nodes_synced: number
    dropped: number
  }
  losses: { where: string; what: string; count: number; hint: string }[]
  targets: {
    address: string
    node?: string
    up: boolean
    error?: string
    last_scrape?: string
    duration_ms?: number
  }[]
}
