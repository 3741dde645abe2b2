import { describe, expect, it } from 'vitest'
import { graphSearch } from '@/features/graph/url'
import { anyText, namespacesOf, parseSearch, patchSearch, readSearch, sharedSearch, stringifySearch, upTo } from './url'

describe('search parameters', () => {
  it.each([
    [{}],
    [{ q: '(errors > 1 % or p95 > 250 ms) and not protocol = tcp' }],
    [{ sel: 'workload:cinema/web>workload:cinema/tickets:http' }],
    [{ q: 'path = "/a?b=c&d=e#f" + 1%', ns: 'a,b' }],
    [{ q: 'grün ≤ 3' }],
  ])('survive the address and back: %j', (search) => {
    expect(parseSearch(stringifySearch(search))).toEqual(search)
  })

  it('stay readable', () => {
    expect(stringifySearch({ q: 'from = cinema/web', ns: 'a,b' })).toBe('?q=from+=+cinema/web&ns=a,b')
  })

  it('leave out what is empty', () => {
    expect(stringifySearch({ a: '', b: undefined, c: null })).toBe('')
  })
})

describe('a schema over the address', () => {
  it('falls back for each field that is mistyped, and keeps the others', () => {
    const read = readSearch(graphSearch, { level: 'galaxy', metric: 'p95', at: 'yesterday', window: '7y', ns: 'a' })
    expect(read).toMatchObject({ level: 'workload', metric: 'p95', at: '', window: '', ns: 'a' })
  })

  it('writes only what was chosen', () => {
    expect(patchSearch(graphSearch, { q: 'x' }, { level: 'namespace', metric: 'rate' })).toEqual({ q: 'x', level: 'namespace' })
    expect(patchSearch(graphSearch, { level: 'namespace' }, { level: 'workload' })).toEqual({})
  })

  it('leaves the parameters of others alone', () => {
    const own = { tab: anyText() }
    expect(patchSearch(own, { q: 'x', at: '2026-11-21T12:00:00Z' }, { tab: 'codes' })).toEqual({ q: 'x', at: '2026-11-21T12:00:00Z', tab: 'codes' })
  })

  it.each(['', '0', '2.5', '1001', 'many'])('takes a whole number up to a limit, not %j', (limit) => {
    expect(readSearch({ limit: upTo(1000, 100) }, { limit })).toEqual({ limit: 100 })
    expect(readSearch({ limit: upTo(1000, 100) }, { limit: '1000' })).toEqual({ limit: 1000 })
  })

  it('takes absolute times', () => {
    expect(readSearch(sharedSearch, { at: '2026-11-21T12:00:00Z' }).at).toBe('2026-11-21T12:00:00Z')
  })
})

describe('namespacesOf', () => {
  it('is empty for all', () => {
    expect(namespacesOf('')).toEqual([])
    expect(namespacesOf('a,b,')).toEqual(['a', 'b'])
  })
})
