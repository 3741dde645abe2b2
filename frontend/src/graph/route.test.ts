import { describe, expect, it } from 'vitest'
import type { GraphEdge } from '@/api/types'
import { edge } from './fixtures/view'
import { card, cardRect, contains, inflate, type Point, type Polyline } from './geometry'
import { hitTest } from './hit'
import { forksOf, linkOf, routeEdges } from './route'

const routed = (edges: GraphEdge[], positions: ReadonlyMap<string, Point>) => routeEdges(edges.map(linkOf), positions)
const at = (x: number, y: number): Point => ({ x, y })

function runsThrough(line: Polyline, p: Point): boolean {
  return [...line.xs].some((x, i) => contains(inflate(cardRect(p), -2), { x, y: line.ys[i] ?? 0 }))
}

describe('routeEdges', () => {
  it('leaves at the right and arrives at the left', () => {
    const line = routed([edge('a', 'b')], new Map([['a', at(0, 0)], ['b', at(400, 100)]])).get('a>b:http')
    expect([line?.xs[0], line?.ys[0]]).toEqual([card.w, card.h / 2])
    expect([line?.xs.at(-1), line?.ys.at(-1)]).toEqual([400, 100 + card.h / 2])
  })

  it('lets a split leave by one trunk and fork', () => {
    const side = { rps: 1, error_ratio: 0, p50_ms: null, p95_ms: null, p99_ms: null }
    const half = { weight: { configured: 0.5, actual: 0.5 }, client_side: side }
    const edges = [edge('a', 'b', half), edge('a', 'c', half), edge('a', 'd')]
    const routes = routed(edges, new Map([['a', at(0, 0)], ['b', at(400, -90)], ['c', at(400, 0)], ['d', at(400, 90)]]))
    const [fork, ...others] = [...forksOf(edges, routes).values()]
    expect(others).toEqual([])
    expect(fork?.x).toBe(card.w + 24)
    expect(routes.get('a>b:http')?.ys[0]).toBe(routes.get('a>c:http')?.ys[0])
    expect(routes.get('a>d:http')?.ys[0]).not.toBe(routes.get('a>c:http')?.ys[0])
  })

  it('goes back by the facing sides, and up and down within a column', () => {
    const routes = routed([edge('a', 'b'), edge('a', 'c')], new Map([['a', at(400, 0)], ['b', at(0, 0)], ['c', at(420, 200)]]))
    expect(routes.get('a>b:http')?.xs[0]).toBe(400)
    expect(routes.get('a>b:http')?.xs.at(-1)).toBe(card.w)
    expect(routes.get('a>c:http')?.ys[0]).toBe(card.h)
  })

  it('goes around a card that stands in the way', () => {
    const positions = new Map([['a', at(0, 0)], ['b', at(500, 0)], ['between', at(250, 0)]])
    const line = routed([edge('a', 'b')], positions).get('a>b:http')
    expect(line && runsThrough(line, at(250, 0))).toBe(false)
  })

  it('keeps two detours apart', () => {
    const positions = new Map([['a', at(0, 0)], ['b', at(500, 0)], ['c', at(500, 90)], ['d', at(0, 90)], ['between', at(250, 0)], ['under', at(250, 90)]])
    const routes = [...routed([edge('a', 'b'), edge('d', 'c')], positions).values()]
    const level = routes.map((r) => r.ys[Math.floor(r.ys.length / 2)])
    expect(Math.abs((level[0] ?? 0) - (level[1] ?? 0))).toBeGreaterThanOrEqual(7)
  })

  it('spreads edges over the side they share', () => {
    const positions = new Map([['a', at(0, 0)], ['b', at(400, 0)], ['c', at(400, 200)]])
    const routes = routed([edge('a', 'b'), edge('a', 'c')], positions)
    expect(routes.get('a>b:http')?.ys[0]).toBeLessThan(routes.get('a>c:http')?.ys[0] ?? 0)
  })

  it('draws no edge to oneself and none without an end', () => {
    expect(routed([edge('a', 'a'), edge('a', 'gone')], new Map([['a', at(0, 0)]])).size).toBe(0)
  })
})

describe('hitTest', () => {
  const positions = new Map([['a', at(0, 0)], ['b', at(400, 0)]])
  const routes = routed([edge('a', 'b')], positions)

  it('prefers the card, then the nearest edge within reach', () => {
    expect(hitTest(at(10, 10), positions, routes, 8)).toEqual({ kind: 'node', id: 'a' })
    expect(hitTest(at(270, 32), positions, routes, 8)).toEqual({ kind: 'edge', id: 'a>b:http' })
    expect(hitTest(at(270, 90), positions, routes, 8)).toBeNull()
  })
})
