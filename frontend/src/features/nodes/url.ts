import { z } from 'zod'
import { sharedSearch } from '@/lib/url'
import { STATE_ORDER } from './states'

/** What the address of the Nodes page says besides the open node, which is its path. */
export const nodesSearch = sharedSearch.extend({
  state: z.enum(['', ...STATE_ORDER]).catch(''),
  sort: z.enum(['state', 'node', 'lag', 'push']).catch('state'),
  of: z.enum(['', 'observed']).catch(''),
  rev: z.string().regex(/^\d*$/).catch(''),
})
