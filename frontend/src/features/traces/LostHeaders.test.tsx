import { screen } from '@testing-library/react'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Passing } from '@/api/types'
import { renderAt } from '../../../test/render'
import { failedTrace, propagation } from './fixtures/trace'
import { LostHeaders, stopsOf } from './LostHeaders'
import { buildTree } from './tree'

const tickets: Passing = {
  workload: 'cinema/tickets', service: 'tickets', state: 'loses', why: '', received: 9,
  calls: ['cinema/audit', 'cinema/payments'].map((destination) => ({ destination, state: 'loses', continued: 0, begun: 9, during: 9, chance_ratio: 0, lost: 9, evidence: [] })),
}

describe('lost trace headers', () => {
  beforeEach(() => vi.stubGlobal('fetch', async () => new Response(JSON.stringify(propagation()), { headers: { 'content-type': 'application/json' } })))
  it('are a finding with a trace to prove it', async () => {
    await renderAt('/traces', () => <LostHeaders />)
    expect((await screen.findByText('tickets loses traces.')).parentElement!.textContent).toBe(
      'tickets loses traces. It does not pass trace headers on to payments: 112 of 112 calls began a trace of their own while a request waited for them. To seats it does.',
    )
    expect(screen.getByText('a trace that stops').getAttribute('href')).toBe('/traces/aa?span=07')
    expect(screen.queryByText('web loses traces.')).toBeNull()
  })
  it('are where a trace stops, unless the call is in it', () => {
    const tree = buildTree(failedTrace())
    expect(stopsOf(tree, tickets).map((s) => [s.call.destination, tree.spans[s.index]!.span_id])).toEqual([['cinema/audit', 'tk-in']])
    expect(stopsOf(tree, { ...tickets, workload: 'cinema/posters' })).toEqual([])
  })
})
