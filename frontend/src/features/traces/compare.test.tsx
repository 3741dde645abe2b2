import { screen } from '@testing-library/react'
import { describe, expect, it, vi } from 'vitest'
import type { Comparison } from '@/api/types'
import { renderAt } from '../../../test/render'
import { TracesPage } from '.'
import { sideInWords, sidesOfSearch, sidesOfTrace } from './compare'
import { failedTrace } from './fixtures/trace'
import { readSearch, type Search } from '@/lib/url'
import { tracesSearch } from './url'

describe('sides', () => {
  const of = (s: Search) => sidesOfSearch(readSearch(tracesSearch, s))
  it('hold a choice against what it left out', () => {
    expect(of({ service: 'web', errors: '1' })).toEqual({ a: 'service=web&clean=true', b: 'service=web&errors=true' })
    expect(of({ min_ms: '250' })).toEqual({ a: 'max_ms=250', b: 'min_ms=250' })
    expect(of({ max_ms: '10' })).toEqual({ a: 'min_ms=10', b: 'max_ms=10' })
    expect(of({ route: 'r' })).toEqual({ a: 'route=r&percentile=0..50', b: 'route=r&percentile=95..100' })
  })
  it('hold a trace against those that went well', () => {
    expect(sidesOfTrace(failedTrace())).toEqual({ a: 'service=web&operation=POST+%2Fbook&clean=true', b: failedTrace().trace_id })
  })
  it('are named for people', () => {
    expect(sideInWords('a41f6b0c09d24a8f9b8e7d6c5b4a09c2')).toBe('trace a41f6b0c…')
    expect(sideInWords('service=web&percentile=95..100')).toBe('web, the slowest 5 %')
    expect(sideInWords('percentile=0..50&clean=true')).toBe('without errors, the fastest 50 %')
    expect(sideInWords('')).toBe('all traces')
  })
})

const side = (own_ms: number) => ({ spans_per_trace: 1, error_ratio: 0, own_ms })
const comparison: Comparison = {
  finding: 'B takes 100 ms longer',
  a: { traces: 40, failed: 0, mean_ms: 12, p50_ms: 12, p95_ms: 12 },
  b: { traces: 7, failed: 2, mean_ms: 112, p50_ms: 112, p95_ms: 112 },
  operations: [
    { service: 'payments', operation: 'POST charge', kind: 'server', role: 'inbound', a: side(10), b: { ...side(110), error_ratio: 0.25 }, delta_ms: 100 },
    { service: 'web', operation: 'GET /', kind: 'server', role: '', a: side(2), b: side(2), delta_ms: 0 },
  ],
  values: [{ service: 'payments', key: 'version', value: 'v2', a_ratio: 0.1, b_ratio: 1 }],
}

describe('ComparePage', () => {
  it('says what differs, and leaves out what does not', async () => {
    vi.stubGlobal('fetch', async () => new Response(JSON.stringify(comparison), { headers: { 'content-type': 'application/json' } }))
    await renderAt('/traces?a=clean%3Dtrue&b=aa', () => <TracesPage />)
    expect(await screen.findByText('B takes 100 ms longer.')).toBeTruthy()
    expect(screen.getByLabelText('Side B').textContent).toContain('7 traces, 2 failed')
    expect(screen.getByRole('row', { name: /payments POST charge/ }).textContent).toContain('0 % → 25.0 %'.replaceAll(' %', '\u2009%'))
    expect(screen.queryByText('GET /')).toBeNull()
    expect(screen.getByRole('row', { name: /version v2 10 % 100 %/ })).toBeTruthy()
  })
  it('says so when nothing differs, and why when it fails', async () => {
    vi.stubGlobal('fetch', async () => new Response(JSON.stringify({ ...comparison, operations: [], values: [] }), { headers: { 'content-type': 'application/json' } }))
    const { unmount } = await renderAt('/traces?a=aa&b=bb', () => <TracesPage />)
    expect(await screen.findByText(/No endpoint, version, revision or attribute/)).toBeTruthy()
    unmount()
    vi.stubGlobal('fetch', async () => new Response(JSON.stringify({ error: { code: 'not_found', message: 'trace aa: not found', hint: '' } }), { status: 404, headers: { 'content-type': 'application/json' } }))
    await renderAt('/traces?a=aa&b=bb', () => <TracesPage />)
    expect((await screen.findByRole('alert')).textContent).toContain('Trace aa: not found')
  })
})
