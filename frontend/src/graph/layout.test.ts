import { describe, expect, it } from 'vitest'
import { cinema, edge, node } from './fixtures/view'
import { card, cardRect, overlaps, type Point } from './geometry'
import { layoutGraph } from './layout'
import { buildModel, type Model } from './model'
import { boxesOf, placeNewcomers } from './sticky'

function laidOut(model: Model): Map<string, Point> {
  return new Map(
    Object.entries(
      layoutGraph({
        nodes: [...model.nodes.keys()].map((id) => ({ id, group: model.groupOf.get(id) ?? null })),
        edges: [...model.edges.values()],
      }),
    ),
  )
}

function collisions(positions: ReadonlyMap<string, Point>): string[] {
  const list = [...positions]
  return list.flatMap(([a, p], i) => list.slice(i + 1).flatMap(([b, q]) => (overlaps(cardRect(p), cardRect(q)) ? [`${a} ${b}`] : [])))
}

describe('layoutGraph', () => {
  it('runs from left to right along calls', () => {
    const at = laidOut(buildModel(cinema()))
    const x = (id: string) => at.get(id)?.x ?? Number.NaN
    expect(x('cinema/web')).toBeLessThan(x('cinema/tickets'))
    expect(x('cinema/tickets')).toBeLessThan(x('cinema/payments'))
    expect(x('cinema/payments')).toBeLessThan(x('bank'))
  })

  it('overlaps neither cards nor boxes', () => {
    const v = cinema()
    const more = Array.from({ length: 30 }, (_, i) => node(`shop/s${i}`))
    const edges = more.slice(1).map((n, i) => edge(`shop/s${Math.floor(i / 2)}`, n.id))
    const model = buildModel({ ...v, nodes: [...v.nodes, ...more], edges: [...v.edges, ...edges, edge('cinema/web', 'shop/s0')] })
    const at = laidOut(model)
    expect(at.size).toBe(35)
    expect(collisions(at)).toEqual([])
    const boxes = [...boxesOf(model, at).values()]
    expect(boxes.some((a, i) => boxes.slice(i + 1).some((b) => overlaps(a, b)))).toBe(false)
  })

  it('is the same for the same graph, whatever the order it came in', () => {
    const v = cinema()
    const other = buildModel({ ...v, nodes: v.nodes.toReversed(), edges: v.edges.toReversed() })
    expect(Object.fromEntries(laidOut(other))).toEqual(Object.fromEntries(laidOut(buildModel(v))))
  })

  it('lays a box beyond the reach of dagre in columns', () => {
    const nodes = Array.from({ length: 220 }, (_, i) => node(`big/n${i}`))
    const edges = nodes.slice(1).map((n, i) => edge(`big/n${Math.floor(i / 3)}`, n.id))
    const at = laidOut(buildModel({ nodes, edges }))
    expect(at.size).toBe(220)
    expect(collisions(at)).toEqual([])
  })

  it('survives cycles and calls to oneself', () => {
    const model = buildModel({ nodes: [node('a/x'), node('a/y')], edges: [edge('a/x', 'a/y'), edge('a/y', 'a/x'), edge('a/x', 'a/x')] })
    expect(collisions(laidOut(model))).toEqual([])
  })
})

describe('placeNewcomers', () => {
  it('moves nobody who is there', () => {
    const before = laidOut(buildModel(cinema()))
    const v = cinema()
    const grown = buildModel({
      ...v,
      nodes: [...v.nodes, node('cinema/seats'), node('cinema/reviews'), node('smtp'), node('new/one')],
      edges: [...v.edges, edge('cinema/tickets', 'cinema/seats'), edge('cinema/catalog', 'cinema/reviews'), edge('cinema/seats', 'smtp'), edge('new/one', 'cinema/web')],
    })
    const after = placeNewcomers(grown, before)
    for (const [id, at] of before) expect(after.get(id)).toEqual(at)
    expect(after.size).toBe(9)
    expect(collisions(after)).toEqual([])
  })

  it('puts a newcomer right of who calls it and beside what is outside', () => {
    const before = laidOut(buildModel(cinema()))
    const v = cinema()
    const after = placeNewcomers(
      buildModel({ ...v, nodes: [...v.nodes, node('cinema/seats'), node('smtp')], edges: [...v.edges, edge('cinema/tickets', 'cinema/seats'), edge('cinema/tickets', 'smtp')] }),
      before,
    )
    expect(after.get('cinema/seats')?.x).toBeGreaterThan((before.get('cinema/tickets')?.x ?? 0) + card.w)
    expect(after.get('smtp')?.x).toBe(before.get('bank')?.x)
  })

  it('finds room for many at once', () => {
    const v = cinema()
    const crowd = Array.from({ length: 40 }, (_, i) => node(`cinema/c${i}`))
    const model = buildModel({ ...v, nodes: [...v.nodes, ...crowd], edges: [...v.edges, ...crowd.map((n) => edge('cinema/web', n.id))] })
    const after = placeNewcomers(model, laidOut(buildModel(cinema())))
    expect(collisions(after)).toEqual([])
  })
})
