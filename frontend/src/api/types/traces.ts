/** Traces, comparisons, propagation. */

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
  /** Spans where errors began. */
  origins: string[]
  gaps: TraceGap[]
  calls: TraceCall[]
  services: string[]
  problems: string[]
}
export type TraceGap = { span_id: string; from_us: number; duration_us: number }
export type TraceCall = { source: string; target: string; calls: number; errors: number; duration_us: number }
export type Attribute = { key: string; value: string }
export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer'
export type Span = {
  span_id: string
  parent_id: string
  depth: number
  role: '' | 'outbound' | 'inbound' | 'attempt' | 'hedge'
  /** The span that stands for the call this one is a part of; often itself. */
  hop: string
  service: string
  workload: string
  version: string
  node: string
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

/** What differs between two traces, or two groups of them. */
export type Comparison = { finding: string; a: ComparedGroup; b: ComparedGroup; operations: OperationDifference[]; values: ValueDifference[] }
export type ComparedGroup = { traces: number; failed: number; mean_ms: number; p50_ms: number; p95_ms: number }
export type OperationDifference = {
  service: string
  operation: string
  kind: SpanKind
  role: Span['role']
  a: OperationSide
  b: OperationSide
  delta_ms: number
}
export type OperationSide = { spans_per_trace: number; error_ratio: number; own_ms: number }
export type ValueDifference = { service: string; key: string; value: string; a_ratio: number; b_ratio: number }

export type Propagation = { from: string; to: string; traces: number; workloads: Passing[] }
export type PassingState = 'passes' | 'loses' | 'own-calls' | 'unclear'
export type Passing = {
  workload: string
  service: string
  state: PassingState
  why: string
  received: number
  calls: PassingTo[]
}
export type PassingTo = {
  destination: string
  state: PassingState
  continued: number
  begun: number
  during: number
  chance_ratio: number
  lost: number
  evidence: PassingEvidence[]
}
export type PassingEvidence = { at: string; received_trace_id: string; received_span_id: string; begun_trace_id: string }
