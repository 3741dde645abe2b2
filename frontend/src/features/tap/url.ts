import { z } from 'zod'
import { sharedSearch } from '@/lib/url'

export const LIMITS = [20, 100, 300, 1000] as const

/** What the address of the Tap page says: the filter is the shared `q`. */
export const tapSearch = sharedSearch.extend({
  limit: z.coerce.number().int().min(1).max(1000).catch(100),
  /** Which side's sidecar tells of a request: both by default, so each is seen twice. */
  side: z.enum(['', 'outbound', 'inbound']).catch(''),
  /** Whether the list of everybody's sessions is open. */
  sessions: z.enum(['', '1']).catch(''),
  headers: z.enum(['', '1']).catch(''),
})
