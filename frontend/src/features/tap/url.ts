import { oneOf, sharedSearch, upTo } from '@/lib/url'

export const LIMITS = [20, 100, 300, 1000] as const

/** What the address of the Tap page says: the filter is the shared `q`. */
export const tapSearch = {
  ...sharedSearch,
  limit: upTo(1000, 100),
  /** Which side's sidecar tells of a request: both by default, so each is seen twice. */
  side: oneOf('', 'outbound', 'inbound'),
  /** Whether the list of everybody's sessions is open. */
  sessions: oneOf('', '1'),
  headers: oneOf('', '1'),
}
