import { render } from '@testing-library/react'
import { expect, it, vi } from 'vitest'
import type { NodeStatus, NodesView } from '@/api/types'
import { finding } from './finding'
import { nodeStatus } from './fixtures/nodes'

const now = Date.parse('2025-01-01T14:30:00Z')
const view = (...nodes: NodeStatus[]): NodesView => ({
  at: '', epoch: '', seq: 1, desired: { number: 4, at: '', by: '', source: '', summary: '', objects: [], hash: '' },
  summary: { nodes: nodes.length, synced: nodes.filter((n) => n.state === 'synced').length, by_state: {}, by_revision: [] },
  spread: { revision: 4, accepted_at: '', sent_ms: [], acked_ms: [], applied_ms: [], waiting: 0 }, nodes,
})
const words = (v: NodesView) => render(<p>{finding(v, now, vi.fn())}</p>).container.textContent

it.each([
  [view(), 'No node is known yet.'],
  [view(nodeStatus()), 'The one node runs it, compared by content.'],
  [view(nodeStatus(), nodeStatus({ id: 'b' })), 'All 2 nodes run it, compared by content.'],
  [view(nodeStatus(), nodeStatus({ id: 'kept', revision: 3 })), 'All 2 nodes run what they should, compared by content.'],
  [view(nodeStatus(), nodeStatus({ id: 'slow-1', state: 'slow', lag_s: 900 }), nodeStatus({ id: 'seats-1', state: 'rejected', lag_s: 815 })), '1 of 3 nodes run it. seats-1 refused it 13\u2009min ago.'],
  [view(nodeStatus({ id: 'vm', state: 'disconnected', since: '2025-01-01T14:00:00Z' })), '0 of 1 node runs it. vm lost its connection 30\u2009min ago.'],
  [{ ...view(nodeStatus()), desired: null }, '1 node waits for a first configuration.'],
])('finding %#', (v, want) => expect(words(v)).toBe(want))
