import { describe, expect, it } from 'vitest'
import { tapEvent, timedOut } from './fixtures/events'
import { askedOf, edgeOf, healthOf, pathParts, statusWord, why } from './look'

describe('how a request ended', () => {
  it.each([
    [tapEvent(), 'ok', '200', ''],
    [timedOut(), 'fail', '504', 'no answer in time'],
    [tapEvent({ status: 404 }), 'warn', '404', ''],
    [tapEvent({ status: 0, flags: 'DC', answered_by: 'proxy' }), 'fail', 'none', 'client went away'],
    [tapEvent({ protocol: 'grpc', grpc_status: '14' }), 'fail', 'grpc 14', ''],
    [tapEvent({ protocol: 'grpc', grpc_status: 'OK' }), 'ok', '200', ''],
    [tapEvent({ protocol: 'tcp', status: 0 }), 'ok', 'closed', ''],
    [tapEvent({ protocol: 'tcp', status: 0, flags: 'UF,URX' }), 'fail', 'reset', 'could not connect'],
    [tapEvent({ status: 403, answered_by: 'proxy', details: 'rbac: deny-refunds' }), 'warn', '403', 'rbac: deny-refunds'],
  ])('case %#', (e, health, status, reason) => {
    expect([healthOf(e), statusWord(e), why(e)]).toEqual([health, status, reason])
  })
})

describe('pathParts', () => {
  it('keeps names and hides values', () => {
    expect(pathParts('/v1/refunds?order=9f3a&page=')).toEqual([
      { text: '/v1/refunds', kind: 'path' },
      { text: '?order=', kind: 'query' },
      { text: '9f3a', kind: 'hidden' },
      { text: '&page=', kind: 'query' },
    ])
    expect(pathParts('/v1/items?de650d61').at(-1)).toEqual({ text: 'de650d61', kind: 'hidden' })
    expect(pathParts('/plain')).toEqual([{ text: '/plain', kind: 'path' }])
  })
})

it('names the edge as the graph does', () => {
  expect(edgeOf(tapEvent())).toBe('workload:cinema/tickets>workload:cinema/payments:http')
  expect(edgeOf(tapEvent({ destination: { namespace: '', name: '' }, service: { host: 'api.bank.example', namespace: 'booking', name: 'api.bank.example' } }))).toBe('workload:cinema/tickets>external:api.bank.example:http')
  expect(edgeOf(tapEvent({ source: { namespace: '', name: '' } }))).toBe('unknown>workload:cinema/payments:http')
})

describe('askedOf', () => {
  it('is what Config explains, without the hidden values of a query', () => {
    expect(askedOf(tapEvent({ method: 'POST', authority: 'payments:8080', path: '/v1/charges?card=0badc0de' }))).toEqual({
      method: 'POST', url: 'http://payments:8080/v1/charges', caller: 'cinema/tickets',
    })
  })
  it('is nothing where no sidecar could be asked', () => {
    expect(askedOf(tapEvent({ protocol: 'tcp' }))).toBeNull()
    expect(askedOf(tapEvent({ source: { namespace: '', name: '' } }))).toBeNull()
  })
})
