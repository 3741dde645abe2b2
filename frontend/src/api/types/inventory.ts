/** Namespaces, workloads and services. */

import type { GraphEdge, GraphNode, Traffic } from './graph'
import type { Health } from './mesh'
import type { NodeState } from './nodes'
import type { Cost, Coverage, NamespaceSummary, NotHeld } from './overview'

export type NamespaceItem = NamespaceSummary & {
  services: number
  in: Traffic
  out: Traffic
  rps_series: number[]
  coverage: Coverage
  cost: Cost
}
export type NamespaceDetail = NamespaceItem & {
  at: string
  window_s: number
  workload_items: WorkloadItem[]
  service_items: ServiceItem[]
  inbound: GraphEdge[]
  outbound: GraphEdge[]
}
export type WorkloadItem = GraphNode & { instances: number; nodes: string[]; services: string[]; cost: Cost }
export type WorkloadDetail = WorkloadItem & {
  at: string
  window_s: number
  inbound: GraphEdge[]
  outbound: GraphEdge[]
  proxies: Proxy[]
  not_held: NotHeld[]
  ejecting: Ejection[]
}
export type Proxy = {
  id: string
  state: NodeState
  since: string
  reason: string
  connected: boolean
  revision: number
  behind: number
  build: string
  address?: string
  cost: Cost
}
export type ServiceItem = {
  host: string
  namespace: string
  name: string
  external: boolean
  ports: { name: string; number: number; protocol: string }[]
  endpoints: number
  ejected: number
  health: Health
  in: Traffic
  rps_series: number[]
  workloads: string[]
  meshed: number
  objects: string[]
}
export type ServiceDetail = ServiceItem & {
  at: string
  window_s: number
  inbound: GraphEdge[]
  outbound: GraphEdge[]
  instances: ServiceEndpoint[]
  ejections: Ejection[]
  ejection_log: EjectionEvent[]
}
export type ServiceEndpoint = {
  address: string
  ports: Record<string, number>
  workload: string
  weight: number
  locality?: string
  labels: Record<string, string>
  object: string
  meshed: boolean
  health: Health
  node?: string
  node_state?: NodeState
}
/** What a caller's sidecar keeps from a service now: ejected endpoints, or a limit that is reached. */
export type Ejection = { node: string; caller: string; host: string; subset: string; ejected: number; breaker: string }
/** One endpoint that a caller's sidecar took out, or let back in. */
export type EjectionEvent = {
  at: string
  node: string
  caller: string
  host: string
  subset: string
  endpoint: string
  returned: boolean
  status: number
  out: number
  of: number
  /** Its time is over; it is back at the next sweep after that. */
  until: string | null
  object: string
}
export type Inventory<T> = { at: string; items: T[] }
