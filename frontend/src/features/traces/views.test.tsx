import { fireEvent, screen } from '@testing-library/react'
import { describe, expect, it, vi } from 'vitest'
import { parse } from '@/lib/expr/parse'
import { renderAt } from '../../../test/render'
import { callGraph, onGraph } from './calls'
import { CallsView } from './CallsView'
import { failedTrace, span } from './fixtures/trace'
import { DEEPEST, flameOf, frameAt } from './flame'
import { FlameView } from './FlameView'
import { SpanPanel } from './SpanPanel'
import { buildTree } from './tree'

const trace = (...spans: ReturnType<typeof span>[]) => ({ ...failedTrace(), spans, critical_path: [], duration_ms: 1 })

describe('flame', () => {
  const flame = flameOf(buildTree(trace(span('a', 0, { self_us: 10 }), span('b', 1, { self_us: 5 }), span('c', 1, { self_us: 20, status: 'error' }), span('b', 1, { self_us: 7 }), span('d', 2, { self_us: 1 }))))
  it('folds spans of one way down, the widest first', () => {
    expect(flame.frames.map((f) => [f.operation, f.depth, f.spans, f.self_us, f.x, f.width, f.errors])).toEqual([
      ['a', 0, 1, 10, 0, 43, 0],
      ['b', 1, 2, 12, 20, 13, 0],
      ['c', 1, 1, 20, 0, 20, 1],
      ['d', 2, 1, 1, 20, 1, 0],
    ])
    expect([flame.total_us, flame.depth]).toEqual([43, 3])
  })
  it('finds what is under the pointer', () => {
    expect(flame.frames[frameAt(flame, 25, 1)]!.operation).toBe('b')
    expect(frameAt(flame, 40, 1)).toBe(-1) // a's own time
  })
  it('ends where nobody could read on', () => {
    const deep = flameOf(buildTree(trace(...Array.from({ length: 1000 }, (_, i) => span(`s${i}`, i, { self_us: 1 })))))
    expect([deep.depth, deep.total_us]).toEqual([DEEPEST, 1000])
  })
  it('says by operation where own time goes, and goes there', async () => {
    const go = vi.fn()
    await renderAt('/traces/x', () => <FlameView tree={buildTree(failedTrace())} onSelect={go} />)
    const rows = screen.getAllByRole('row').map((r) => r.textContent)
    expect(rows[1]).toContain('attempt 2')
    fireEvent.click(screen.getByText('attempt 2'))
    expect(go).toHaveBeenCalledWith(8)
  })
})

describe('calls', () => {
  it('stand in columns by their distance from who called first', () => {
    const g = callGraph(failedTrace().calls)
    expect(g.places.map((p) => [p.name, p.column, p.row])).toEqual([['cinema/web', 0, 0], ['cinema/tickets', 1, 0], ['cinema/seats', 2, 0], ['cinema/payments', 2, 1]])
    expect([g.columns, g.rows]).toEqual([3, 2])
  })
  it('stand circles and islands', () => {
    const call = (source: string, target: string) => ({ source, target, calls: 1, errors: 0, duration_us: 1 })
    const g = callGraph([call('a', 'b'), call('b', 'a'), call('x', 'y')])
    expect(new Set(g.places.map((p) => p.name)).size).toBe(4)
    expect(g.places.every((p) => p.column >= 0)).toBe(true)
    expect(callGraph([]).places).toEqual([])
  })
  it('lead to the graph', async () => {
    await renderAt('/traces/x', () => <CallsView calls={failedTrace().calls} />)
    expect(screen.getAllByRole('link', { name: 'payments' })[0]!.getAttribute('href')).toBe('/graph?sel=workload:cinema/payments')
    expect(screen.getByRole('img').getAttribute('aria-label')).toContain('4 places and 3 edges')
  })
  it('are found on the service graph', async () => {
    await renderAt('/traces/x', () => <CallsView calls={failedTrace().calls.slice(0, 2)} />)
    const link = screen.getByRole('link', { name: 'Show on the service graph' }).getAttribute('href') ?? ''
    const q = new URLSearchParams(link.split('?')[1]).get('q') ?? ''
    expect(q).toContain('(from = cinema/web and to = cinema/tickets)')
    expect(q).toContain('(name = tickets and namespace = cinema)')
    expect(parse(q, { fields: ['from', 'to', 'name', 'namespace'].map((name) => ({ name, help: '' })) }).error).toBeNull()
    const call = (i: number) => ({ source: `cinema/a${i}`, target: `cinema/b${i}`, calls: 1, errors: 0, duration_us: 1 })
    expect(onGraph(Array.from({ length: 200 }, (_, i) => call(i)))).toBe('')
    expect(onGraph([{ ...call(1), source: '', target: 'shop of ann' }])).toBe('name = "shop of ann"')
  })
})

describe('span panel', () => {
  it('leads from a try to the edge of its call', async () => {
    const tree = buildTree(failedTrace())
    await renderAt('/traces/x', () => <SpanPanel tree={tree} index={tree.index.get('at2')!} traceId="x" onSelect={() => undefined} />)
    expect(screen.getByRole('link', { name: 'Show edge' }).getAttribute('href')).toBe('/graph?sel=workload:cinema/tickets%3Eworkload:cinema/payments:http')
  })
})
