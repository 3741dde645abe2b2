import { digits, oneOf, sharedSearch } from '@/lib/url'
import { STATE_ORDER } from './states'

/** What the address of the Nodes page says besides the open node, which is its path. */
export const nodesSearch = {
  ...sharedSearch,
  state: oneOf('', ...STATE_ORDER),
  sort: oneOf('state', 'node', 'lag', 'push'),
  of: oneOf('', 'observed'),
  rev: digits,
}
