import { describe, expect, it } from 'vitest'
import type { GraphEdge, HealthState, Overview, OverviewService } from '@/api/types'
import { proxyShare, sideName, verdict, within } from './summary'

const service = (name: string, state: HealthState, over: Partial<OverviewService> = {}): OverviewService => ({
  id: `service:${name}`, namespace: 'cinema', name, health: { state, reasons: [] }, rps: 1, error_ratio: 0, p95_ms: 1, rps_series: [], external: false, ...over,
})

describe('verdict', () => {
  it.each<[HealthState[], string, string]>([
    [['fail', 'warn', 'ok'], '1 of 3 services fails', '1 degraded'],
    [['fail', 'fail', 'idle'], '2 of 3 services fail', '1 without traffic'],
    [['warn', 'warn', 'ok'], '2 of 3 services are degraded', 'none fails'],
    [['ok', 'ok'], 'All 2 services are healthy', ''],
    [['idle'], 'No traffic', '1 service known'],
    [[], 'Nothing is known yet', ''],
  ])('%j', (states, text, sub) => {
    expect(verdict(states.map((s, i) => service(String(i), s)))).toMatchObject({ text, sub })
  })
})

describe('within', () => {
  const edge = (source: string, target: string) => ({ id: `${source}>${target}`, source, target }) as GraphEdge
  const o = {
    services: [service('a', 'ok', { rps: 9 }), service('b', 'fail'), service('c', 'warn', { namespace: 'front' })],
    namespaces: [],
    error_edges: [edge('workload:cinema/x', 'service:bank'), edge('workload:front/y', 'workload:front/z')],
  } as unknown as Overview
  it('sorts worst first and keeps the chosen namespaces', () => {
    expect(within(o, []).services.map((s) => s.name)).toEqual(['b', 'c', 'a'])
    expect(within(o, ['front']).services.map((s) => s.name)).toEqual(['c'])
    expect(within(o, [], 'CIN b').services.map((s) => s.name)).toEqual(['b'])
    expect(within(o, ['cinema']).edges.map((e) => e.source)).toEqual(['workload:cinema/x'])
  })
})

it('names the ends of an edge', () => {
  expect(['workload:cinema/catalog-v1', 'external:api.bank.example', 'unknown'].map(sideName)).toEqual(['catalog-v1', 'api.bank.example', 'unknown'])
})

it('weighs who answered by rate', () => {
  const answers = [{ by: 'proxy', rps: 3 }, { by: 'upstream', rps: 1 }]
  expect(proxyShare({ answers } as GraphEdge)).toBe(0.75)
  expect(proxyShare({ answers: [] as GraphEdge['answers'] } as GraphEdge)).toBeNull()
})
