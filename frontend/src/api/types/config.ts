/** Objects, revisions, lineage, explain. */

import type { Workload } from './mesh'
import type { NodeState } from './nodes'

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
export type ConfigObjects = { objects: ConfigObject[]; lacking: ObjectLack[] }
/** How many connected nodes lack something of an object. */
export type ObjectLack = { object: string; nodes: number; refusing: number }
export type ConfigPlace = { file: string; line: number }
export type FieldDiff = {
  op: 'added' | 'changed' | 'removed' | 'moved'
  path: string
  before: string
  after: string
  before_line: number
  after_line: number
}
export type ObjectDiff = {
  op: 'added' | 'changed' | 'removed'
  kind: string
  namespace: string
  name: string
  before?: ConfigPlace
  after?: ConfigPlace
  fields: FieldDiff[]
  /** The document of one that was added or removed. */
  yaml?: string
}
export type RevisionDiff = { from: Revision | null; to: Revision | null; objects: ObjectDiff[] }
export type LineagePart = { type: string; name: string; desired: string; applied: string; state: NodeState; error?: string }
export type LineageNode = {
  id: string
  workload: Workload
  connected: boolean
  has: boolean
  state: NodeState
  since: string
  reason: string
  resources: LineagePart[]
}
export type LineageResource = { type: string; name: string; need: number; have: number }
export type ConfigLineage = {
  object: ConfigObject
  problems: Problem[]
  resources: LineageResource[]
  nodes: LineageNode[]
  need: number
  have: number
}
export type ExplainFact = { name: string; value: string; default: boolean; object: string; file: string; line: number }
export type ExplainSkipped = { name: string; why: string; object: string; file: string; line: number }
export type ExplainStep = {
  kind: 'listener' | 'virtual_host' | 'route' | 'split' | 'cluster' | 'endpoints' | 'inbound' | 'authorization'
  /** That decides, where it is not the caller's. */
  node?: string
  title: string
  resource: string
  revision: number
  object: string
  file: string
  line: number
  facts: ExplainFact[]
  skipped: ExplainSkipped[]
  differs: boolean
}
export type ExplainAccount = { revision: number; outcome: string; steps: ExplainStep[] }
export type ExplainedNode = { id: string; state: NodeState; revision: number; same: boolean }
export type Explanation = {
  method: string
  url: string
  from: string
  node: string
  state: string
  desired: ExplainAccount
  runs: ExplainAccount | null
  same: boolean
  differences: string[]
  nodes: ExplainedNode[]
  notes: string[]
}

/** How the roll-out of the newest revision stands. */
export type RolloutState = {
  phase: '' | 'done' | 'canary' | 'held'
  target: number
  /** What nodes beyond the canary keep. */
  base: number
  canary: string[]
  since: string
  started_at: string
  /** Since when the canary runs the target. */
  well_since?: string
  error_ratio_before: number | null
  error_ratio_now: number | null
  error_ratio_others: number | null
  reason: string
  by?: string
  /** Held by a person: later revisions stay with the canary, too. */
  paused: boolean
  /** By whom, and why. */
  held_for?: string
  watch_s: number
  percent?: number
  named_nodes?: string[]
}
