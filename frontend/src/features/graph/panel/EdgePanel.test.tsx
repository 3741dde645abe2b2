import { screen } from '@testing-library/react'
import { describe, expect, it, vi } from 'vitest'
import type { GraphEdge } from '@/api/types'
import { cinema } from '@/graph/fixtures/view'
import { History } from '@/graph/history'
import { buildModel } from '@/graph/model'
import { renderAt } from '../../../../test/render'
import { type PanelTab, SidePanel } from './SidePanel'

const id = 'cinema/tickets>cinema/payments:http'
const failing: Partial<GraphEdge> = {
  rps: 38,
  error_ratio: 0.2,
  p95_ms: 1920,
  codes: { '200': 30.4, '503': 5.7, '500': 1.9 },
  flags: { UO: 5.7 },
  answered_by: { proxy: 5.7, upstream: 1.9 },
  attempts_per_request: 1.6,
  answers: [
    { code: 503, flags: 'UO', by: 'proxy', details: 'overflow', object: 'DestinationRule cinema/payments', rps: 5.7 },
    { code: 500, flags: '-', by: 'upstream', details: 'via_upstream', object: '', rps: 1.9 },
  ],
  client_side: { rps: 38, error_ratio: 0.2, p50_ms: 600, p95_ms: 1920, p99_ms: 2000 },
  server_side: { rps: 32.3, error_ratio: 0.06, p50_ms: 600, p95_ms: 1900, p99_ms: 2000 },
}

function open(tab: PanelTab = 'traffic', more: Partial<GraphEdge> = {}) {
  const v = cinema()
  const model = buildModel({ ...v, edges: v.edges.map((e) => (e.id === id ? { ...e, ...failing, ...more } : e)) })
  return renderAt('/graph', () => (
    <SidePanel model={model} id={id} history={new History()} stale={[]} tab={tab} onTab={() => undefined} onSelect={() => undefined} onView={() => undefined} onFold={() => undefined} />
  ))
}

describe('EdgePanel', () => {
  it('says the finding first, and who answered', async () => {
    await open()
    expect(screen.getByRole('complementary', { name: 'Edge from tickets to payments' })).toBeDefined()
    expect(screen.getByText('20.0 % errors.')).toBeDefined()
    expect(screen.getByText(/The proxy of tickets answered 75 % of them, payments the rest/)).toBeDefined()
  })

  it('lists each kind of answer with reason and object', async () => {
    await open()
    expect(screen.getByText('503 UO')).toBeDefined()
    expect(screen.getByText('circuit breaker: pool or queue full')).toBeDefined()
    expect(screen.getByText('DestinationRule cinema/payments')).toBeDefined()
    expect(screen.getByText('payments said so')).toBeDefined()
  })

  it('tells what retries hide, and what never arrived', async () => {
    await open()
    expect(screen.getByText(/retries hide 30 points/)).toBeDefined()
    expect(screen.getByText('5.7/s never reached payments')).toBeDefined()
  })

  it('leads from the latency histogram to the traces of its slowest requests', async () => {
    const asked: string[] = []
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      if (!url.includes('query_exemplars')) return Promise.resolve(new Response('{}', { status: 404 }))
      asked.push(String(init.body))
      const series = { seriesLabels: { response_code: '504' }, exemplars: [{ labels: { trace_id: 'ab12000000000000000000000000cd34' }, value: '1920', timestamp: 1795000000 }] }
      return Promise.resolve(Response.json({ status: 'success', data: [series] }))
    })
    await open()
    const link = await screen.findByRole('link', { name: 'ab12…cd34' })
    expect(link.getAttribute('href')).toContain('/traces/ab12000000000000000000000000cd34')
    expect(link.closest('tr')?.textContent).toMatch(/504.*1\.92/)
    expect(new URLSearchParams(asked[0]).get('query')).toContain('source_workload="tickets",destination_workload_namespace="cinema",destination_workload="payments"')
    vi.unstubAllGlobals()
  })

  it('leads to tap and traces of this edge', async () => {
    await open()
    const tap = screen.getByRole('link', { name: 'Tap this edge' }).getAttribute('href') ?? ''
    expect(new URLSearchParams(tap.split('?')[1]).get('q')).toBe('from = cinema/tickets and to = cinema/payments')
    const traces = screen.getByRole('link', { name: 'Traces' }).getAttribute('href') ?? ''
    expect(Object.fromEntries(new URLSearchParams(traces.split('?')[1]))).toEqual({ source: 'cinema/tickets', target: 'cinema/payments' })
  })

  it('shows codes and flags with their words', async () => {
    await open('codes')
    expect(screen.getByText('503')).toBeDefined()
    expect(screen.getByText('circuit breaker: pool or queue full')).toBeDefined()
  })

  it('tells the versions of what is called, with what was configured', async () => {
    await open('versions', { weight: { configured: 0.9, actual: 0.874 } })
    expect(screen.getByText('87.4')).toBeDefined()
    expect(screen.getByText(/^set 90\s%$/)).toBeDefined()
    expect(screen.getByText('All that this caller sends goes to one version.')).toBeDefined()
  })

  it('says which side does not report', async () => {
    await open('traffic', { server_side: null })
    expect(screen.getByText('one side reports')).toBeDefined()
    expect(screen.getAllByText('does not report').length).toBeGreaterThan(0)
  })
})
