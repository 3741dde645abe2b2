/** Timeline and overview. */

import type { GraphEdge, Totals } from './graph'
import type { Health, HealthState } from './mesh'
import type { NodeState } from './nodes'

export type Marker = {
  at: string
  kind: 'config' | 'start' | 'stop' | 'alert' | 'breaker'
  text: string
  revision?: number
  severity?: HealthState
}
export type Timeline = { from: string; step_s: number; rps: number[]; errors_per_s: number[]; markers: Marker[] }

export type Finding = { severity: HealthState; text: string; link: string }
/** How a service does against the availability that it is held to. */
export type Standing = {
  host: string
  object: string
  availability: number
  requests_1h: number
  failed_1h: number
  /** How many times faster than allowed the error budget was spent. */
  burn_5m: number
  burn_30m: number
  burn_1h: number
  state: HealthState
}
export type NamespaceSummary = {
  name: string
  health: Health
  workloads: number
  meshed: number
  rps: number
  error_ratio: number
}
/** A configuration object that nobody carries out for a workload. */
export type NotHeld = { object: string; workload: string; text: string }
export type Coverage = { workloads: number; meshed: number; unmeshed: string[]; not_held: NotHeld[] }
export type Cost = {
  proxies: number
  cpu_cores: number
  memory_bytes: number
  added_p50_ms: number | null
  added_p99_ms: number | null
  cpu_us_per_request: number | null
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
  external: boolean
}
export type Overview = {
  at: string
  window_s: number
  findings: Finding[]
  totals: Totals
  namespaces: NamespaceSummary[]
  services: OverviewService[]
  error_edges: GraphEdge[]
  objectives: Standing[]
  coverage: Coverage
  convergence: {
    revision: number
    nodes: number
    synced: number
    applied_p50_ms: number | null
    applied_p99_ms: number | null
    not_synced: { id: string; state: NodeState; reason: string }[]
  }
  cost: Cost
}
