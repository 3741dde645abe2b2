import { fireEvent, screen, waitFor } from '@testing-library/react'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { NodesView, NodeStatus } from '@/api/types'
import { useShell } from '@/lib/shell'
import { renderAt } from '../../../test/render'
import { nodeStatus } from './fixtures/nodes'
import { NodesPage } from '.'

const answer = vi.hoisted(() => ({ live: null as unknown, observed: undefined as unknown }))
vi.mock('@/api/nodes', () => ({ useNodes: () => answer.live, useNode: () => ({ data: undefined, error: null }), useObserved: () => ({ data: answer.observed, error: null }) }))

function show(...nodes: NodeStatus[]) {
  const data: NodesView = {
    at: '2025-01-01T14:30:00Z', epoch: 'e', seq: 1,
    desired: { number: 4128, at: '2025-01-01T14:18:00Z', by: 'petra', source: 'directory', summary: 'DestinationRule booking/payments', objects: [], hash: '9f3a1c7e52d0' },
    summary: { nodes: nodes.length, synced: nodes.filter((n) => n.state === 'synced').length, by_state: { rejected: nodes.filter((n) => n.state === 'rejected').length }, by_revision: [{ revision: 4128, nodes: 1 }] },
    spread: { revision: 4128, accepted_at: '2025-01-01T14:18:00Z', sent_ms: [40], acked_ms: [60], applied_ms: [90], waiting: 1 },
    nodes,
  }
  answer.live = { data, at: '', receivedAt: Date.now(), error: null, lost: 0 }
}

beforeEach(() => {
  // happy-dom lays nothing out: without a height a virtual list shows nothing.
  vi.spyOn(HTMLElement.prototype, 'clientHeight', 'get').mockReturnValue(600)
  vi.spyOn(HTMLElement.prototype, 'clientWidth', 'get').mockReturnValue(1200)
  show(nodeStatus(), nodeStatus({ id: 'seats-1', state: 'rejected', lag_s: 815, reason: 'Refused the cluster.' }))
})

describe('NodesPage', () => {
  it('answers first: the share, the sentence, who and when', async () => {
    await renderAt('/nodes', () => <NodesPage />)
    expect(screen.getByText(/refused it 13/).textContent).toBe('1 of 2 nodes run it. seats-1 refused it 13\u2009min ago.')
    expect(screen.getByText(/^petra, /).textContent).toContain('DestinationRule booking/payments')
    expect(screen.getByRole('img', { name: /not yet/ })).toBeTruthy()
  })
  it('says of a node that is not known that it is not', async () => {
    await renderAt('/nodes/nosuch', () => <NodesPage />)
    expect(screen.getByText(/No node of the name nosuch is known/)).toBeTruthy()
  })
  it('filters by state in the address', async () => {
    const { search } = await renderAt('/nodes', () => <NodesPage />)
    fireEvent.click(screen.getByRole('button', { name: /1 rejected/ }))
    await waitFor(() => expect(search()).toEqual({ state: 'rejected' }))
  })
  it('opens a row by keyboard, as a place of its own', async () => {
    const { path } = await renderAt('/nodes', () => <NodesPage />)
    const grid = screen.getByRole('treegrid')
    fireEvent.focus(grid)
    fireEvent.keyDown(grid, { key: 'ArrowRight' })
    await waitFor(() => expect(path()).toBe('/nodes/seats-1'))
  })
  it('finds by expression, and tells the find field where it is wrong', async () => {
    await renderAt('/nodes?q=state+=+rejected', () => <NodesPage />)
    expect(useShell.getState().find.note).toBe('1 of 2 nodes')
    await renderAt('/nodes?q=stat+=+x', () => <NodesPage />)
    expect(useShell.getState().find.error).toContain('no field is called "stat"')
  })
  it('says what to widen when nothing matches', async () => {
    const { search } = await renderAt('/nodes?q=nobody', () => <NodesPage />)
    expect(screen.getByText(/2 nodes are known/)).toBeTruthy()
    fireEvent.click(screen.getByText('Show all nodes'))
    await waitFor(() => expect(search()).toEqual({}))
  })
  it('shows the nodes of other control planes where some are observed', async () => {
    answer.observed = {
      sources: [{ url: 'http://istiod-0:15014/debug/syncz', nodes: 1 }, { url: 'csds://10.0.0.9:18000', error: 'connection refused', nodes: 0 }],
      nodes: [{ source: 'http://istiod-0:15014/debug/syncz', id: 'web-7f.front', state: 'stale', since: '2025-01-01T14:00:00Z', reason: 'RDS was sent and not acknowledged.', version: '2025-01-01/7', seen_at: '2025-01-01T14:30:00Z' }],
    }
    const { search } = await renderAt('/nodes', () => <NodesPage />)
    fireEvent.click(screen.getByRole('button', { name: 'Observed, 1' }))
    await waitFor(() => expect(search()).toEqual({ of: 'observed' }))
    expect(screen.getByRole('row', { name: /web-7f\.front stale, no ACK .* RDS was sent and not acknowledged/ })).toBeTruthy()
    expect(screen.getByText(/cannot be read: connection refused/)).toBeTruthy()
    answer.observed = undefined
  })
  it('tells an empty mesh how a node comes here', async () => {
    show()
    await renderAt('/nodes', () => <NodesPage />)
    expect(screen.getByText(/sidelight proxy --server/)).toBeTruthy()
  })
})
