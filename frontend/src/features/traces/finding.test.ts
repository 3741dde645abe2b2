import { describe, expect, it } from 'vitest'
import { causeOf, headline, messageOf, shares, statusOf, targetOf } from './finding'
import { failedTrace, span } from './fixtures/trace'
import { buildTree } from './tree'

describe('causeOf', () => {
  it('speaks of the call that made the attempts, with who answered and which object', () => {
    const tree = buildTree(failedTrace())
    expect(causeOf(tree)).toMatchObject({ where: 'tickets → payments', code: '504', flags: 'UT', answeredBy: 'proxy', attempts: 3, object: 'VirtualService cinema/payments' })
    expect(tree.spans[causeOf(tree)!.index]?.span_id).toBe('pay')
  })
  it('prefers the failure that reached the caller to an earlier one that was caught', () => {
    const err = { status: 'error' as const }
    const spans = [span('root', 0, err), span('caught', 1), span('at', 2, { ...err, start_us: 1 }), span('down', 1, { ...err, start_us: 50, service: 'posters' })]
    expect(causeOf(buildTree({ ...failedTrace(), spans }))).toMatchObject({ reachedCaller: true, where: 'posters' })
  })
  it('names an outside host where no workload answered', () => {
    const s = (o: Record<string, string>) => targetOf(span('a', 0, { attributes: o }))
    expect(s({ 'sidelight.destination': 'unknown', 'sidelight.service': 'api.bank.example' })).toBe('api.bank.example')
    expect(s({ 'sidelight.service': 'payments.booking.svc.cluster.local' })).toBe('payments')
    expect(s({ 'sidelight.destination': 'booking/seats' })).toBe('seats')
  })
  it('is null without an error', () => {
    expect(causeOf(buildTree({ ...failedTrace(), spans: [span('a', 0)] }))).toBeNull()
  })
})

describe('headline', () => {
  it('names the failure', () => {
    const t = failedTrace()
    expect(headline(t, buildTree(t))).toBe('Failed at tickets → payments: 504 UT after 3 attempts, said by the proxy of tickets. No answer in 2 s.')
  })
  it('says that the caller had its answer when a retry caught the failure', () => {
    const call = span('call', 1, { service: 'payments', attributes: { 'sidelight.source': 'booking/payments', 'sidelight.destination': 'unknown', 'sidelight.service': 'api.bank.example', 'sidelight.attempts': '2', 'sidelight.answered_by': 'upstream', 'sidelight.details': 'via_upstream', 'http.response.status_code': '201' } })
    const t = { ...failedTrace(), spans: [span('root', 0), call, span('t1', 2, { operation: 'attempt 1', kind: 'client', status: 'error', message: 'answered 503', attributes: { 'http.response.status_code': '503' } }), span('t2', 2, { operation: 'attempt 2', kind: 'client' })] }
    expect(headline(t, buildTree(t))).toBe('Answered, though attempt 1 of 2 at payments → api.bank.example failed with 503.')
  })
  it('names where the time went when nothing failed', () => {
    const t = { ...failedTrace(), duration_ms: 10, critical_path: ['a', 'b'], spans: [span('a', 0, { duration_us: 10_000, self_us: 1000 }), span('b', 1, { service: 'catalog', operation: 'GET /films', duration_us: 9000, self_us: 9000 })] }
    expect(headline(t, buildTree(t))).toBe('No error. 90 % of 10\u2009ms was spent in catalog itself, in GET /films.')
  })
})

describe('headline of a slow trace', () => {
  it('does not blame the caller for who was called and sends no spans', () => {
    const call = span('b', 1, { service: 'payments', operation: 'POST transfer', kind: 'client', duration_us: 9000, self_us: 9000, attributes: { 'sidelight.service': 'api.bank.example', 'sidelight.destination': 'unknown' } })
    const t = { ...failedTrace(), duration_ms: 10, critical_path: ['a', 'b'], spans: [span('a', 0, { duration_us: 10_000, self_us: 1000 }), call] }
    expect(headline(t, buildTree(t))).toBe('No error. 90 % of 10\u2009ms was spent waiting for api.bank.example, called by payments in POST transfer.')
  })
})

describe('shares and statusOf', () => {
  it('does not say a code twice', () => {
    expect(['HTTP 503', 'answered 503', 'per-try timeout 1s'].map((message) => messageOf(span('a', 0, { message })))).toEqual(['', '', 'per-try timeout 1s'])
  })
  it('sums own time by service', () => {
    expect(shares(failedTrace().spans)[0]).toMatchObject({ service: 'tickets', errors: 6 })
  })
  it.each([
    [{ 'http.response.status_code': '503' }, '503'],
    [{ 'http.response.status_code': '200', 'rpc.grpc.status_code': '14' }, 'grpc 14'],
    [{ 'http.response.status_code': '200', 'rpc.grpc.status_code': '0' }, '200'],
    [{}, ''],
  ])('%j is %s', (attributes, want) => expect(statusOf(span('a', 0, { attributes }))).toBe(want))
})
