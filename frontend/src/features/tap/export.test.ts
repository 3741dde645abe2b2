import { describe, expect, it } from 'vitest'
import { cliCommand, curlCommand, har, ndjson, quote } from './export'
import { tapEvent, timedOut } from './fixtures/events'

describe('quote', () => {
  it.each([
    ['plain/path:8080', 'plain/path:8080'],
    ['status >= 400', "'status >= 400'"],
    ["it's", `'it'\\''s'`],
    ['$(rm -rf)', "'$(rm -rf)'"],
  ])('%s', (word, want) => expect(quote(word)).toBe(want))
})

describe('curlCommand', () => {
  it('repeats the request and never writes a redacted value', () => {
    expect(curlCommand(timedOut())).toBe(
      ['curl -sS -X POST -m 4', 'http://payments.cinema:8080/v1/charges', '-H "authorization: $AUTHORIZATION"', "-H 'content-type: application/json'"].join(' \\\n  '),
    )
  })
  it('asks for the values of a query, which it has as hashes only', () => {
    expect(curlCommand(tapEvent({ method: 'GET', path: '/v1/refunds?order-id=9f3a11aa&dry' })).split('\n')[1]?.trim()).toBe('"http://payments.cinema:8080/v1/refunds?order-id=$ORDER_ID&dry"')
    expect(curlCommand(tapEvent({ method: 'GET', path: '/a?$(x)=1' }))).toContain('?\\$(x)=')
  })
  it('leaves out what belongs to the hop or the trace', () => {
    const e = tapEvent({ method: 'GET', request_headers: [{ name: 'traceparent', value: '00-x' }, { name: 'x-envoy-attempt-count', value: '2' }] })
    expect(curlCommand(e)).toBe('curl -sS -m 1 \\\n  http://payments.cinema:8080/v1/charges')
  })
})

describe('cliCommand', () => {
  it('quotes the filter and names only what differs from the default', () => {
    expect(cliCommand('status >= 400', 50, false)).toBe("sidelight tap --where 'status >= 400' -o json")
    expect(cliCommand('', 200, true)).toBe('sidelight tap --limit 200 --headers -o json')
  })
})

describe('exports', () => {
  it('tells of queue and connection where the archive has them', () => {
    const e = tapEvent({ duration_ms: 50, first_byte_ms: 40, attempts: [{ endpoint: 'a', start_ms: 0, duration_ms: 40, queue_ms: 10, connect_ms: 5, status: 200, flags: '-' }] })
    const timings = (event: typeof e) => (JSON.parse(har([event], '1')) as { log: { entries: { timings: object }[] } }).log.entries[0]?.timings
    expect(timings(e)).toEqual({ blocked: 10, connect: 5, send: 0, wait: 25, receive: 10 })
    expect(timings({ ...e, attempts: [] })).toEqual({ blocked: -1, connect: -1, send: 0, wait: 40, receive: 10 })
  })
  it('writes one event a line', () => {
    const text = ndjson([tapEvent({ seq: 1 }), tapEvent({ seq: 2 })])
    expect(text.trimEnd().split('\n').map((l) => (JSON.parse(l) as { seq: number }).seq)).toEqual([1, 2])
    expect(text.endsWith('\n')).toBe(true)
  })
  it('writes an archive without TCP and without secrets', () => {
    const log = (JSON.parse(har([timedOut(), tapEvent({ protocol: 'tcp' })], '1.0')) as { log: { entries: { request: { headers: { name: string; value: string }[] }; time: number }[] } }).log
    expect(log.entries).toHaveLength(1)
    expect(log.entries[0]?.time).toBe(2000)
    expect(log.entries[0]?.request.headers[0]).toEqual({ name: 'authorization', value: '[redacted]' })
  })
})
