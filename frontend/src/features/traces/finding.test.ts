import { describe, expect, it } from 'vitest'
import { causeOf, headline, shares, statusOf } from './finding'
import { failedTrace, span } from './fixtures/trace'
import { buildTree } from './tree'

describe('causeOf', () => {
  it('speaks of the call that made the attempts, with who answered and which object', () => {
    const tree = buildTree(failedTrace())
    expect(causeOf(tree)).toMatchObject({ where: 'tickets → payments', code: '504', flags: 'UT', answeredBy: 'proxy', attempts: 3, object: 'VirtualService cinema/payments' })
    expect(tree.spans[causeOf(tree)!.index]?.span_id).toBe('pay')
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
  it('names where the time went when nothing failed', () => {
    const t = { ...failedTrace(), duration_ms: 10, critical_path: ['a', 'b'], spans: [span('a', 0, { duration_us: 10_000, self_us: 1000 }), span('b', 1, { service: 'catalog', operation: 'GET /films', duration_us: 9000, self_us: 9000 })] }
    expect(headline(t, buildTree(t))).toBe('No error. 90 % of 10\u2009ms was spent in catalog itself, in GET /films.')
  })
})

describe('shares and statusOf', () => {
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
