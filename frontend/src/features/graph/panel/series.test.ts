import { describe, expect, it } from 'vitest'
import type { GraphEdge } from '@/api/types'
import { cinema } from '@/graph/fixtures/view'
import { edgeLabels, limitsOf, limitsQuery, triesOf } from './series'

const view = cinema()
const edge = view.edges.find((e) => e.id === 'cinema/tickets>cinema/payments:http')!
const [source, target] = [edge.source, edge.target].map((id) => view.nodes.find((n) => n.id === id)!)

describe('the series behind an edge', () => {
  it('are chosen by its ends, its service and its protocol', () => {
    const own: GraphEdge = { ...edge, service: { host: 'payments.cinema.svc.cluster.local', namespace: 'cinema', name: 'payments' } }
    expect(edgeLabels(own, source, target)).toBe(
      'reporter="source",source_workload_namespace="cinema",source_workload="tickets",destination_workload_namespace="cinema",destination_workload="payments",destination_service="payments.cinema.svc.cluster.local",request_protocol="http"',
    )
    expect(edgeLabels(own, { ...source!, kind: 'app', app: 'a"b', version: 'v2' }, { ...target!, kind: 'external' })).toBe(
      String.raw`reporter="source",source_workload_namespace="cinema",source_canonical_service="a\"b",source_canonical_revision="v2",destination_service="payments.cinema.svc.cluster.local",request_protocol="http"`,
    )
  })
  it('cannot be told from others where a caller has no sidecar or much is folded', () => {
    expect(edgeLabels(edge, { ...source!, kind: 'unknown' }, target)).toBeNull()
    expect(edgeLabels(edge, { ...source!, kind: 'namespace', folded: { namespaces: 1, workloads: 3, failing: 0 } }, target)).toBeNull()
    expect(edgeLabels(edge, undefined, target)).toBeNull()
  })
  it('give tries by number, with how many of each failed', () => {
    const sample = (attempt: string, outcome: string, value: number) => ({ labels: { attempt, outcome }, value })
    expect(triesOf([sample('2', 'failed', 3), sample('1', 'ok', 30), sample('1', 'failed', 8), sample('2', 'ok', 5), sample('3', 'ok', 0)])).toEqual([
      { number: 1, ok: 30, failed: 8 },
      { number: 2, ok: 5, failed: 3 },
    ])
  })
  it('give each limit as the sidecar has it that is nearest to it', () => {
    const sample = (name: string, node: string, cluster: string, breaker: string, value: number) => ({ labels: { __name__: `sidelight_circuit_breaker_${name}`, node, cluster, breaker }, value })
    const of = (node: string, breaker: string, inUse: number, limit: number) => [sample('in_use', node, 'outbound|80||pay', breaker, inUse), sample('limit', node, 'outbound|80||pay', breaker, limit)]
    expect(limitsOf([...of('a', 'pending', 3, 32), ...of('b', 'pending', 9, 32), ...of('a', 'connections', 64, 64), sample('in_use', 'c', 'outbound|80|v2|pay', 'requests', 4)])).toEqual([
      { breaker: 'connections', subset: '', node: 'a', inUse: 64, limit: 64 },
      { breaker: 'pending', subset: '', node: 'b', inUse: 9, limit: 32 },
    ])
    expect(limitsQuery('pay.svc', source)).toBe(
      String.raw`{__name__=~"sidelight_circuit_breaker_(in_use|limit)",namespace="cinema",workload="tickets",cluster=~"outbound\\|[^|]*\\|[^|]*\\|pay\\.svc"}`,
    )
  })
})
