import type { TraceCall } from '@/api/types'

/** A place of the graph of one trace: who called stands left of who was called. */
export type Place = { name: string; column: number; row: number; own: { calls: number; errors: number } }
export type CallGraph = { places: readonly Place[]; index: ReadonlyMap<string, number>; calls: readonly TraceCall[]; columns: number; rows: number }

/** callGraph lays out who called whom: a column is how far a place is from who called first. */
export function callGraph(calls: readonly TraceCall[]): CallGraph {
  const between = calls.filter((c) => c.source !== '')
  const names = [...new Set([...calls.filter((c) => c.source === '').map((c) => c.target), ...between.flatMap((c) => [c.source, c.target])])]
  const column = new Map<string, number>()
  const called = new Set(between.map((c) => c.target))
  let next = names.filter((n) => !called.has(n))
  if (next.length === 0) next = names.slice(0, 1) // a circle: it has to begin somewhere
  for (let depth = 0; next.length > 0; depth++) {
    for (const n of next) if (!column.has(n)) column.set(n, depth)
    const reached = new Set(next)
    next = [...new Set(between.filter((c) => reached.has(c.source)).map((c) => c.target))].filter((n) => !column.has(n))
    if (next.length === 0) next = names.filter((n) => !column.has(n)).slice(0, 1)
  }
  const filled: number[] = []
  const places = names.map((name): Place => {
    const at = column.get(name)!
    const row = (filled[at] ??= 0)
    filled[at] = row + 1
    const own = calls.filter((c) => c.target === name)
    return { name, column: at, row, own: { calls: own.reduce((n, c) => n + c.calls, 0), errors: own.reduce((n, c) => n + c.errors, 0) } }
  })
  return { places, index: new Map(names.map((n, i) => [n, i])), calls: between, columns: filled.length, rows: Math.max(0, ...filled.map((n) => n ?? 0)) }
}

/** What an expression may have at most. */
const longest = 4096

/**
 * onGraph is the expression that finds this trace's way on the service graph:
 * its places and the calls between them. Empty where it would be too long.
 */
export function onGraph(calls: readonly TraceCall[]): string {
  const between = calls.filter((c) => c.source !== '')
  const places = [...new Set(calls.flatMap((c) => [c.source, c.target]))].filter(Boolean)
  const parts = [
    ...between.map((c) => `(from = ${word(c.source)} and to = ${word(c.target)})`),
    ...places.map((p) => {
      const [namespace = '', name] = p.split('/')
      return name === undefined ? `name = ${word(p)}` : `(name = ${word(name)} and namespace = ${word(namespace)})`
    }),
  ]
  const q = parts.join(' or ')
  return q.length > longest ? '' : q
}

const word = (name: string) => (/^[\w./:-]+$/.test(name) ? name : JSON.stringify(name))
