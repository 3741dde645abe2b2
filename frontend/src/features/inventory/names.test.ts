import { expect, it } from 'vitest'
import type { Health, ServiceDetail } from '@/api/types'
import { nameOf } from './EdgeTable'
import { ejectionWord, serviceFinding } from './finding'
import { workloadPath } from './WorkloadList'

it('names the end of an edge', () => {
  expect(['workload:booking/web', 'workload:c1/booking/web', 'service:web.booking.svc.cluster.local', 'external:api.bank.example', 'unknown'].map(nameOf)).toEqual(['web', 'web', 'web', 'api.bank.example', 'unknown'])
})

it('builds the path of a workload, with its cluster where it has one', () => {
  expect(workloadPath({ namespace: 'a', name: 'b' })).toBe('a/b')
  expect(workloadPath({ cluster: 'c', namespace: 'a', name: 'b' })).toBe('c/a/b')
})

it('says what is wrong with a service, and what is missing behind it', () => {
  const traffic = { rps: 3, error_ratio: 0.5, p50_ms: null, p95_ms: null, p99_ms: null, sent_bytes_per_s: 0, received_bytes_per_s: 0, active_connections: 0 }
  const service = (health: Health, more: Partial<ServiceDetail>) => ({ health, in: traffic, external: false, endpoints: 3, ejected: 0, workloads: ['a/b'], meshed: 1, ...more }) as ServiceDetail
  const now = Date.parse('2026-11-29T07:01:00Z')
  const failing: Health = { state: 'fail', reasons: [{ code: '5xx', text: '50 % of requests failed', since: '2026-11-29T07:00:00Z' }] }
  expect(serviceFinding(service(failing, { ejected: 1 }), now)).toMatchObject({ strong: '50 % of requests failed for 1\u2009min.', rest: '1 endpoint of 3 ejected.' })
  expect(serviceFinding(service({ state: 'ok', reasons: [] }, { endpoints: 0, meshed: 0 }), now).rest).toBe('It has no endpoint. 1 workload behind it without sidecar.')
})

it('says what a caller keeps out', () => {
  const e = { node: 'n', caller: 'c', host: 'h', subset: '', ejected: 2, breaker: '' }
  expect(ejectionWord(e)).toBe('2 endpoints ejected')
  expect(ejectionWord({ ...e, breaker: 'pending' })).toBe('pending queue full')
})
