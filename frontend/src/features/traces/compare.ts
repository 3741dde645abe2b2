import type { Trace } from '@/api/types'
import type { TracesSearch } from './url'

/** Sides are what the server is asked to hold against each other: a trace's ID or the parameters of a search. */
export type Sides = { a: string; b: string }

const query = (o: Record<string, string>) => new URLSearchParams(Object.entries(o).filter(([, v]) => v !== '')).toString()

/** sidesOfTrace holds a trace, as B, against those that did the same and went well. */
export function sidesOfTrace(trace: Trace): Sides | null {
  const root = trace.spans[0]
  return root ? { a: query({ service: root.service, operation: root.operation, clean: 'true' }), b: trace.trace_id } : null
}

/**
 * sidesOfSearch holds what a search chose, as B, against what it left out.
 * A search that chose nothing by its outcome compares the slowest with the rest.
 */
export function sidesOfSearch(s: TracesSearch): Sides {
  const { service, operation, workload, source, target, route, tag, from, to } = s
  const where = { service, operation, workload, source, target, route, tag, from, to }
  const chosen = { ...where, status: s.status, errors: s.errors === '1' ? 'true' : '', min_ms: s.min_ms, max_ms: s.max_ms }
  if (s.errors === '1' || s.status) return { a: query({ ...where, clean: 'true' }), b: query(chosen) }
  if (s.min_ms) return { a: query({ ...where, max_ms: s.min_ms }), b: query(chosen) }
  if (s.max_ms) return { a: query({ ...where, min_ms: s.max_ms }), b: query(chosen) }
  return { a: query({ ...where, percentile: '0..50' }), b: query({ ...where, percentile: '95..100' }) }
}

/** sideInWords names a side for people. */
export function sideInWords(side: string): string {
  if (/^[0-9a-f]{1,32}$/i.test(side)) return `trace ${side.slice(0, 8)}…`
  const q = new URLSearchParams(side)
  const words: string[] = []
  const say = (key: string, as: (v: string) => string) => {
    const v = q.get(key)
    if (v) words.push(as(v))
  }
  say('service', (v) => v)
  say('operation', (v) => v)
  say('workload', (v) => `through ${v}`)
  say('source', (v) => `from ${v}`)
  say('target', (v) => `to ${v}`)
  say('route', (v) => `route ${v}`)
  say('tag', (v) => v)
  say('status', (v) => `status ${v}`)
  say('errors', () => 'with errors')
  say('clean', () => 'without errors')
  say('min_ms', (v) => `at least ${v} ms`)
  say('max_ms', (v) => `at most ${v} ms`)
  say('percentile', (v) => (v.startsWith('0..') ? `the fastest ${v.slice(3)} %` : v.endsWith('..100') ? `the slowest ${100 - Number(v.slice(0, -5))} %` : `percentiles ${v}`))
  return words.join(', ') || 'all traces'
}
