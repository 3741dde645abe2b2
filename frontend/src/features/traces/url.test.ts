import { describe, expect, it } from 'vitest'
import { readSearch } from '@/lib/url'
import { isLive, narrowed, queryOf, tracesSearch } from './url'

const read = (o: Record<string, string> = {}) => readSearch(tracesSearch, o)

describe('queryOf', () => {
  it('asks for the chosen moment while the page is paused', () => {
    const q = queryOf(read({ at: '2025-01-01T14:30:00.000Z', window: '15m', service: 'web' }))
    expect(q).toMatchObject({ service: 'web', from: '2025-01-01T14:15:00.000Z', to: '2025-01-01T14:30:00.000Z' })
  })
  it('lets a chosen time win', () => {
    expect(queryOf(read({ at: '2025-01-01T14:30:00.000Z', from: 'a' }))).toMatchObject({ from: 'a', to: '' })
  })
  it('stands a mistyped address', () => {
    expect(read({ limit: 'many', errors: 'perhaps', min_ms: 'x' })).toMatchObject({ limit: 100, errors: '', min_ms: '' })
  })
})

it('knows when it is live, and what narrows the search', () => {
  expect(isLive(read())).toBe(true)
  expect(isLive(read({ to: 'b' }))).toBe(false)
  expect(narrowed(read({ errors: '1', min_ms: '250' })).map((n) => n.text)).toEqual(['with errors', 'at least 250 ms'])
})
