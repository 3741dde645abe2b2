import { screen, within } from '@testing-library/react'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Live } from '@/api/resource'
import type { Health, Overview } from '@/api/types'
import { renderAt } from '../../../test/render'
import { OverviewPage } from '.'

const answer = vi.hoisted(() => ({ live: null as unknown }))
vi.mock('@/api/overview', () => ({ useOverview: () => answer.live }))

const ok: Health = { state: 'ok', reasons: [] }
const view = (over: Partial<Overview> = {}): Overview => ({
  at: '', window_s: 30, findings: [{ severity: 'fail', text: 'tickets → payments: 21.4 % errors', link: '/graph?sel=e1' }],
  totals: { rps: 642, error_ratio: 0.0127, p95_ms: 212 },
  namespaces: [{ name: 'booking', health: ok, workloads: 4, meshed: 3, rps: 66, error_ratio: 0 }],
  services: [
    { id: 'service:catalog', namespace: 'catalog', name: 'catalog', health: ok, rps: 640, error_ratio: 0, p95_ms: 12, rps_series: [], external: false },
    { id: 'service:payments', namespace: 'booking', name: 'payments', health: { state: 'fail', reasons: [{ code: 'error_ratio', text: '21.4 % errors for 13 min' }] }, rps: 38, error_ratio: 0.214, p95_ms: 1920, rps_series: [], external: true },
  ],
  error_edges: [], objectives: [], coverage: { workloads: 26, meshed: 25, unmeshed: ['platform/report-cron'], not_held: [] },
  convergence: { revision: 4128, nodes: 3, synced: 2, applied_p50_ms: 310, applied_p99_ms: null, not_synced: [{ id: 'tickets-1', state: 'rejected', reason: 'no' }] },
  cost: { proxies: 3, cpu_cores: 0.2, memory_bytes: 60e6, added_p50_ms: 0.2, added_p99_ms: 1, cpu_us_per_request: 90 },
  ...over,
})
const live = (over: Partial<Live<Overview>>): Live<Overview> => ({ data: null, at: '', receivedAt: Date.now(), error: null, lost: 0, ...over })

beforeEach(() => {
  answer.live = live({ data: view() })
})

describe('OverviewPage', () => {
  it('answers first: how many fail, and each finding with the way to it', async () => {
    await renderAt('/', () => <OverviewPage />)
    expect(screen.getByRole('heading', { level: 1 }).textContent).toBe('1 of 2 services fails')
    expect(screen.getByText('tickets → payments: 21.4 % errors').closest('a')?.getAttribute('href')).toBe('/graph?sel=e1')
  })
  it('lists the failing service before the busier healthy one, with the reason', async () => {
    await renderAt('/', () => <OverviewPage />)
    const rows = within(screen.getByRole('region', { name: 'Services' })).getAllByRole('link')
    expect(rows.map((r) => r.textContent)).toEqual([expect.stringMatching(/^paymentsoutside.*21\.4 % errors for 13 min/), expect.stringMatching(/^catalog/)])
  })
  it('says what is outside of the mesh and who lacks the last configuration', async () => {
    await renderAt('/', () => <OverviewPage />)
    expect(screen.getByText('1 workload outside the mesh')).toBeTruthy()
    expect(screen.getByText('tickets-1').closest('a')?.getAttribute('href')).toBe('/nodes/tickets-1')
    expect(screen.getByText('refused it')).toBeTruthy()
  })

  it('does not call coverage whole while somebody goes past a policy', async () => {
    const held = { object: 'VirtualService catalog/catalog', workload: 'catalog/catalog', text: 'VirtualService catalog/catalog is not followed by unknown' }
    answer.live = live({ data: view({ coverage: { workloads: 26, meshed: 26, unmeshed: [], not_held: [held] } }) })
    await renderAt('/', () => <OverviewPage />)
    expect(screen.getByRole('heading', { name: /1 policy does not hold/ })).toBeTruthy()
    expect(screen.getByText('26 of 26 in the mesh')).toBeTruthy()
  })
  it('keeps to the chosen namespaces and words', async () => {
    await renderAt('/?ns=catalog', () => <OverviewPage />)
    expect(screen.getByRole('heading', { level: 1 }).textContent).toBe('The one service is healthy')
  })
  it('names the cause when nothing comes', async () => {
    answer.live = live({ error: { code: 'unavailable', message: 'The server is stopping.', hint: 'Start it again.' } })
    await renderAt('/', () => <OverviewPage />)
    expect(screen.getByRole('alert').textContent).toContain('The server is stopping. Start it again.')
  })
  it('tells an empty mesh how to begin', async () => {
    answer.live = live({ data: view({ services: [], findings: [], coverage: { workloads: 0, meshed: 0, unmeshed: [], not_held: [] } }) })
    await renderAt('/', () => <OverviewPage />)
    expect(screen.getByText(/sidelight demo/)).toBeTruthy()
  })
})
