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
