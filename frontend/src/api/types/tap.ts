/** Tapped requests and their ledger. */

import type { Protocol, Service, Workload } from './mesh'

export type TapAttempt = {
  endpoint: string
  workload?: string
  start_ms: number
  duration_ms: number
  /** Of the duration: waiting for a connection, and opening one. */
  queue_ms?: number
  connect_ms?: number
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
  object?: string
  source_principal?: string
  destination_principal?: string
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
/** One viewer's session, open or over: `closed_at` is missing while it is open. */
export type TapRecord = {
  id: string
  session: string
  user: string
  filter: string
  headers: boolean
  limit_per_s: number
  opened_at: string
  closed_at?: string
  reason: string
  sidecars: number
  ledger: TapLedger
}
export type TapFrame = { events: TapEvent[]; ledger: TapLedger; sidecars: number }
