import { screen, within } from '@testing-library/react'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { alertWords } from '@/api/alertwords'
import type { Live } from '@/api/resource'
import type { Alert, AlertsView } from '@/api/types'
import { renderAt } from '../../../test/render'
import { AlertsPage } from '.'
import { linkTo, matching } from './finding'

const answer = vi.hoisted(() => ({ live: null as unknown }))
vi.mock('@/api/alerts', () => ({ useAlerts: () => answer.live }))

const alert = (over: Partial<Alert> = {}): Alert => ({
  id: 'a1', rule: 'SidelightNodeConfigRejected', group: 'sidelight-config-sync', state: 'firing', severity: 'critical',
  summary: 'tickets-2 refused the desired configuration', description: 'It said no.', detail: 'rejected: refused listener x',
  about: { kind: 'node', id: 'tickets-2' }, labels: { node: 'tickets-2' }, annotations: {}, value: 1, active_at: new Date().toISOString(), ...over,
})
const view = (over: Partial<AlertsView> = {}): AlertsView => ({
  at: '', counts: { firing: 1, critical: 1, pending: 0 }, alerts: [alert()],
  past: [alert({ id: 'a2', state: 'resolved', summary: 'web-1 was gone', resolved_at: new Date().toISOString() })],
  rules: [{ name: 'SidelightNodeConfigRejected', group: 'g', file: 'f', query: 'x', for_s: 0, severity: 'critical', state: 'firing', evaluated_at: '' }],
  receivers: [{ kind: 'alertmanager', name: '127.0.0.1:9093', sent: 3, dropped: 2, waiting: 1, error: 'it answered 503' }], problems: [], ...over,
})
const live = (over: Partial<Live<AlertsView>>): Live<AlertsView> => ({ data: null, at: '', receivedAt: Date.now(), error: null, lost: 0, ...over })

beforeEach(() => {
  answer.live = live({ data: view() })
})

describe('AlertsPage', () => {
  it('answers first, and leads to what an alert speaks of', async () => {
    await renderAt('/alerts', () => <AlertsPage />)
    expect(screen.getByRole('heading', { level: 1 }).textContent).toBe('1 alert fires, 1 critical')
    const active = within(screen.getByRole('region', { name: 'Active' }))
    expect(active.getByRole('link').getAttribute('href')).toBe('/nodes/tickets-2')
    expect(active.getByText('rejected: refused listener x')).toBeTruthy()
    expect(within(screen.getByRole('region', { name: 'Over' })).getByText('web-1 was gone')).toBeTruthy()
  })
  it('says who was not told', async () => {
    await renderAt('/alerts', () => <AlertsPage />)
    const told = within(screen.getByRole('region', { name: 'Receivers' }))
    expect(told.getByText(/3 taken, 1 waiting, 2 lost/)).toBeTruthy()
    expect(told.getByText('it answered 503')).toBeTruthy()
  })
  it('opens the alert of the address', async () => {
    await renderAt('/alerts?id=a1', () => <AlertsPage />)
    expect(screen.getByText('It said no.')).toBeTruthy()
    expect(screen.getByRole('button', { expanded: true })).toBeTruthy()
  })
  it('is calm when nothing fires, and names broken rules', async () => {
    answer.live = live({ data: view({ counts: { firing: 0, critical: 0, pending: 0 }, alerts: [], past: [], receivers: [], problems: ['rule file my.yaml: broken'] }) })
    await renderAt('/alerts', () => <AlertsPage />)
    expect(screen.getByRole('heading', { level: 1 }).textContent).toBe('Nothing fires')
    expect(screen.getByText(/my\.yaml: broken/)).toBeTruthy()
    expect(screen.getByText(/--alertmanager URL/)).toBeTruthy()
  })
  it('names the cause when there are no rules', async () => {
    answer.live = live({ error: { code: 'unavailable', message: 'This process evaluates no rules.', hint: 'Use sidelight run.' } })
    await renderAt('/alerts', () => <AlertsPage />)
    expect(screen.getByRole('alert').textContent).toContain('Use sidelight run.')
  })
})

describe('finding', () => {
  it('writes figures and hosts as the other pages do', () => {
    expect(alertWords('5.161% of requests to web.front.svc.cluster.local fail')).toBe('5.2\u2009% of requests to web.front fail')
    expect(alertWords('a change is not on all nodes after 1h 3m 1s')).toBe('a change is not on all nodes after 1\u2009h 3\u2009min')
    expect(alertWords('after 35.85s')).toBe('after 36\u2009s')
    expect(alertWords('p95 of 0.25s')).toBe('p95 of 250\u2009ms')
    expect(alertWords('1.51 attempts per request to api.bank.example')).toBe('1.51 attempts per request to api.bank.example')
  })
  it('links each kind of thing', () => {
    const of = (about: Alert['about'], group = 'sidelight-traffic-alerts') => linkTo({ about, group })
    expect(of({ kind: 'workload', id: 'cinema/web' })).toBe('/workloads/cinema/web')
    expect(of({ kind: 'edge', id: 'a/x -> b/y' })).toBe('/workloads/b/y')
    expect(of({ kind: 'service', id: 'a.b' })).toBe('/services/a.b')
    expect(of(null)).toBeNull()
    expect(of(null, 'sidelight-config-sync')).toBe('/nodes')
  })
  it('finds by every word', () => {
    expect(matching([alert()], 'REFUSED tickets').length).toBe(1)
    expect(matching([alert()], 'refused other').length).toBe(0)
  })
})
