/** Nodes: what configuration runs where. */

import type { Revision } from './config'
import type { Workload } from './mesh'

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
  unconverged_since?: string
  summary: NodesSummary
  spread: Spread
  /** What the nodes at each revision handle, newest first. */
  traffic?: RevisionTraffic[]
  nodes: NodeStatus[]
}
export type RevisionTraffic = { revision: number; nodes: number; rps: number; error_ratio: number; p95_ms: number | null }
export type NodesDelta = {
  nodes: NodeStatus[]
  gone: string[]
  desired: Revision | null
  summary: NodesSummary
  spread: Spread
  traffic?: RevisionTraffic[]
}
export type NodeStatus = {
  id: string
  workload: Workload
  kind: string
  build: string
  address?: string
  /** It asks for its configuration so often; absent when it is told. */
  pull_s?: number
  state: NodeState
  since: string
  reason: string
  /** On whom a change waits that it lacks; absent when it lacks none. */
  waits_on?: 'control-plane' | 'node'
  connected: boolean
  connected_at?: string
  disconnected_at?: string
  last_seen?: string
  started_at?: string
  /** What was wrong with the order in which its sidecar and its application last came or went. */
  disorder?: string
  /** Several streams use this node ID, and whose they are. */
  duplicate?: string
  revision: number
  behind: number
  lag_s: number
  push: { sent_ms: number | null; acked_ms: number | null; applied_ms: number | null }
  history: Transition[]
}
/** What another control plane says of one of its nodes. */
export type ObservedNode = { source: string; id: string; state: NodeState; since: string; reason: string; version?: string; seen_at: string }
/** How the reading of one source goes. */
export type ObservedSource = { url: string; error?: string; read_at?: string; nodes: number }
export type ObservedList = { nodes: ObservedNode[]; sources: ObservedSource[] }
export type Transition = { at: string; state: NodeState; revision: number; note?: string }
export type Connection = { connected_at: string; disconnected_at?: string; peer?: string; reason?: string }
export type NodeIdentity = {
  /** Empty while it has no certificate. */
  principal: string
  serial: string
  not_before?: string
  not_after?: string
  /** Why it has no newer one. */
  failure?: { since: string; reason: string; error: string; remedy: string }
}
/** One run of a sidecar beside its application. */
export type NodeLife = {
  started_at: string
  /** It has an application whose port it knows. */
  app: boolean
  serving_at?: string
  app_at?: string
  draining_at?: string
  drained_at?: string
  app_gone_at?: string
  ended_at?: string
  connections_cut: number
  problems: string[]
}
export type NodeDetail = NodeStatus & { identity: NodeIdentity | null; lives: NodeLife[]; resources: ResourceStatus[]; connections: Connection[] }
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
/** How what a node runs differs from what it should run, resource by resource. */
export type NodeDifference = {
  node: string
  against: string
  revision: number
  resources: ResourceDifference[]
  notes: string[]
}
export type ResourceDifference = {
  op: 'changed' | 'added' | 'removed'
  type: ResourceStatus['type']
  name: string
  runs: string
  should: string
  fields: { op: 'changed' | 'added' | 'removed' | 'moved'; path: string; before: string; after: string }[]
  objects: string[]
}
