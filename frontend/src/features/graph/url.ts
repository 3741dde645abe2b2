import { z } from 'zod'
import { sharedSearch } from '@/lib/url'

/** The graph's part of the address. */
export const graphSearch = sharedSearch.extend({
  level: z.enum(['namespace', 'service', 'workload']).catch('workload'),
  metric: z.enum(['rate', 'p95', 'errors', 'bytes']).catch('rate'),
  view: z.enum(['canvas', 'table']).catch('canvas'),
  /** Find dims what does not match; hide takes away what does. */
  find: z.enum(['find', 'hide']).catch('find'),
  /** The id of the selected node or edge. */
  sel: z.string().catch(''),
  tab: z.enum(['traffic', 'connections', 'config', 'codes']).catch('traffic'),
})

export type GraphSearch = z.infer<typeof graphSearch>

/** How far back the figures of the graph reach. */
export const graphWindowSeconds = 30

/** What find expressions on the graph may ask for, as the server knows them. */
export const findFields = [
  { name: 'name', help: 'workload, service or host name' },
  { name: 'namespace', help: 'namespace of the workload' },
  { name: 'app', help: 'app label' },
  { name: 'version', help: 'version label' },
  { name: 'from', help: 'caller of the edge' },
  { name: 'to', help: 'called side of the edge' },
  { name: 'protocol', help: 'http, grpc or tcp', values: ['http', 'grpc', 'tcp'] },
  { name: 'health', help: 'ok, warn, fail, idle or unknown', values: ['ok', 'warn', 'fail', 'idle', 'unknown'] },
  { name: 'rps', help: 'requests a second' },
  { name: 'errors', help: 'share of failed requests: 2 %' },
  { name: 'p50', help: 'median latency' },
  { name: 'p95', help: 'latency of the slowest 5 %: 250 ms' },
  { name: 'p99', help: 'latency of the slowest 1 %' },
  { name: 'code', help: 'response code seen' },
  { name: 'flag', help: 'response flag seen: UO, UF, URX' },
  { name: 'mtls', help: 'the edge is encrypted and authenticated' },
  { name: 'meshed', help: 'has a sidecar that reports' },
  { name: 'config', help: 'configuration state: rejected, stale' },
] as const
