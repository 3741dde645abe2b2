import { describe, expect, it } from 'vitest'
import type { TraceSummary } from '@/api/types'
import { isTraceId, matches } from './find'

const t: TraceSummary = { trace_id: 'a41f', service: 'gateway', operation: 'POST /book', start: '', duration_ms: 1, spans: 3, errors: 0, status: 200, services: [{ name: 'payments', spans: 1, errors: 0 }] }

describe('find on traces', () => {
  it.each([
    ['', true], ['book', true], ['GATEWAY post', true], ['payments', true], ['"book"', true], ['book seats', false],
  ])('%j', (q, want) => expect(matches(t, q)).toBe(want))
  it.each([
    ['a41f6b0c09d24a8f9b8e7d6c5b4a09c2', true], [' A41F6B0C09D24A8F ', true], ['a41f', false], ['payments', false],
  ])('%j is an ID: %s', (q, want) => expect(isTraceId(q)).toBe(want))
})
