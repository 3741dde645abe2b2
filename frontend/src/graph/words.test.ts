import { describe, expect, it } from 'vitest'
import type { Marker } from '@/api/types'
import { cinema, edge, node, view } from './fixtures/view'
import { placeLabels, words } from './labels'
import { buildModel } from './model'
import { badgesOf, edgeFinding, likelyCause, nodeFinding, shortName } from './words'

const now = Date.parse('2026-11-21T12:13:00Z')
const empty = buildModel(view([], []))

describe('badges', () => {
  it('say in words what configuration and breakers do, the worst first', () => {
    const n = node('a/b', { config: { state: 'stale', revision: 127, behind: 2, nodes: 4 } })
    const model = buildModel(view([node('a/x'), n], [edge('a/x', 'a/b', { rps: 10, flags: { UO: 3 } })]))
    expect(badgesOf(n, model).map((b) => b.text)).toEqual(['breaker open', '2 revs behind'])
  })
  it('are silent about a trickle and about synced nodes', () => {
    const n = node('a/b', { config: { state: 'synced', revision: 128, behind: 0, nodes: 4 } })
    const model = buildModel(view([node('a/x'), n], [edge('a/x', 'a/b', { rps: 1000, flags: { UO: 1 } })]))
    expect(badgesOf(n, model)).toEqual([])
  })
  it('name gateways, copies, and what callers keep out or hold back', () => {
    const of = (e: Parameters<typeof edge>[2], n = node('a/b')) => badgesOf(n, buildModel(view([node('a/x'), n], [edge('a/x', 'a/b', e)]))).map((b) => b.text)
    const because = (code: string) => ({ health: { state: 'warn' as const, reasons: [{ code, text: code }] } })
    expect(of({}, node('a/b', { gateway: true }))).toEqual(['gateway'])
    expect(of({ mirrored: true })).toEqual(['mirror'])
    expect(of(because('ejected'))).toEqual(['endpoint ejected'])
    expect(of(because('limit'))).toEqual(['breaker open'])
    expect(of(because('latency'))).toEqual([])
  })
  it('name a workload without a sidecar', () => {
    expect(badgesOf(node('a/b', { meshed: false }), empty)).toEqual([{ text: 'no sidecar', tone: 'warn' }])
    expect(badgesOf(node('bank'), empty)).toEqual([])
  })
})

describe('names', () => {
  it('set the version apart', () => {
    expect(shortName(node('a/catalog-v2', { app: 'catalog', version: 'v2' }))).toEqual({ name: 'catalog', version: 'v2' })
    expect(shortName(node('a/web', { app: 'web', version: 'v1' }))).toEqual({ name: 'web', version: '' })
  })
})

describe('findings', () => {
  const answer = { code: 503, flags: 'UO', details: '', object: '' }
  const failing = {
    error_ratio: 0.214,
    answered_by: { proxy: 3, upstream: 40 },
    answers: [{ ...answer, by: 'proxy' as const, rps: 3 }, { ...answer, by: 'upstream' as const, rps: 1 }],
  }
  it('give share, length and who answered', () => {
    const e = edge('cinema/tickets', 'cinema/payments', { ...failing, health: { state: 'fail', reasons: [{ code: 'error_ratio', text: 'errors', since: '2026-11-21T12:00:00Z' }] } })
    const finding = edgeFinding(e, buildModel(cinema()), now)
    expect(finding.strong).toBe('21.4\u2009% errors for 13\u2009min.')
    expect(finding.rest).toBe('The proxy of tickets answered 75\u2009% of them, payments the rest.')
  })
  it('do not call slowness errors', () => {
    const e = edge('a/b', 'a/c', { error_ratio: 0.002, health: { state: 'warn', reasons: [{ code: 'latency', text: 'p95 over 1 s' }] } })
    expect(edgeFinding(e, empty, now).strong).toBe('p95 over 1 s.')
  })
  it('explain callers that nobody knows', () => {
    expect(nodeFinding(node('unknown', { kind: 'unknown', health: { state: 'unknown', reasons: [] } }), empty, now).strong).toBe('Callers without a sidecar.')
  })
})

describe('likely cause', () => {
  const marker = (at: string, kind: Marker['kind'] = 'config'): Marker => ({ at: `2026-11-21T${at}Z`, kind, text: at })
  const since = '2026-11-21T12:00:00Z'
  const after = (markers: Marker[], rps: number[] = []) => ({ from: '2026-11-21T11:40:00Z', step_s: 60, rps, markers })
  it('is the last change within two minutes before', () => {
    const found = likelyCause(after([marker('11:58:30'), marker('11:59:52'), marker('12:00:40')], [1, 1]), since)
    expect(found?.text).toBe('Began 8\u2009s after')
    expect(found?.marker.text).toBe('11:59:52')
  })
  it('is no alert, nothing long ago and nothing later', () => {
    expect(likelyCause(after([{ ...marker('11:59:59'), kind: 'breaker' }], [1, 1]), since)).toBeNull()
    expect(likelyCause(after([marker('11:59:59', 'alert'), marker('11:50:00'), marker('12:00:40')]), since)).toBeNull()
    expect(likelyCause(after([marker('11:59:59')]), undefined)).toBeNull()
  })
})

describe('what was there from the first request on', () => {
  it('has no cause', () => {
    const timeline = { from: '2026-11-21T11:59:00Z', step_s: 10, rps: [0, 0, 0, 0, 0, 3, 9], markers: [{ at: '2026-11-21T11:59:52Z', kind: 'config' as const, text: 'loaded' }] }
    expect(likelyCause(timeline, '2026-11-21T12:00:00Z')).toBeNull()
  })
})

describe('labels', () => {
  const bad = edge('a/b', 'a/c', { error_ratio: 0.2 }, 'fail')
  it('always tell the errors of a failing edge', () => {
    for (const metric of ['rate', 'p95', 'errors', 'bytes'] as const) expect(words(bad, metric, false)).toContain('20.0\u2009%')
  })
  it('stand only where they tell something', () => {
    const model = buildModel(view([node('a/b'), node('a/c'), node('a/d'), node('z/e')], [edge('a/b', 'a/c'), edge('a/b', 'a/d', {}, 'fail'), edge('a/b', 'z/e')]))
    const positions = new Map([...model.nodes.keys()].map((id, i) => [id, { x: i % 2 === 0 ? 0 : 600, y: i * 100 }]))
    const line = { xs: new Float32Array([0, 600]), ys: new Float32Array([400, 400]), lengths: new Float32Array([0, 600]), total: 600 }
    const routes = new Map([...model.edges.keys()].map((id, i) => [id, { ...line, ys: new Float32Array([500 + i * 90, 500 + i * 90]) }]))
    const labels = placeLabels({ model, boxes: new Map(), positions, routes, metric: 'rate', lit: new Set() })
    expect(labels.map((l) => l.id)).toEqual(['a/b>a/d:http', 'a/b>z/e:http'])
  })
})
