import { describe, expect, it } from 'vitest'
import { cinema, edge, node, view } from './fixtures/view'
import { foldedByItself, foldView, withFolds } from './fold'
import { focusView } from './focus'
import { buildModel, countInWords } from './model'

const shop = view(
  [node('front/web'), node('shop/cart', { health: { state: 'fail', reasons: [{ code: '5xx', text: '20 % errors' }] } }), node('shop/stock'), node('mail/out')],
  [
    edge('front/web', 'shop/cart', { rps: 30, error_ratio: 0.2, p95_ms: 90 }, 'fail'),
    edge('front/web', 'shop/stock', { rps: 10, error_ratio: 0, p95_ms: 300 }),
    edge('shop/cart', 'shop/stock', { rps: 99 }),
    edge('shop/stock', 'mail/out', { rps: 5 }),
  ],
)

describe('foldView', () => {
  const { nodes, edges } = foldView(shop, new Set(['shop']))
  const folded = nodes.find((n) => n.id === 'namespace:shop')

  it('puts one node in the place of a namespace, with who stands behind it, the worst first', () => {
    expect(nodes.map((n) => n.id)).toEqual(['front/web', 'mail/out', 'namespace:shop'])
    expect(folded?.fold).toEqual({ members: ['shop/cart', 'shop/stock'], states: ['fail', 'ok'] })
    expect(folded?.health).toMatchObject({ state: 'fail', reasons: [{ text: 'cart: 20 % errors' }] })
  })

  it('adds edges up over the border and leaves out those within', () => {
    const into = edges.find((e) => e.target === 'namespace:shop')
    expect(edges).toHaveLength(2)
    expect(into).toMatchObject({ rps: 40, error_ratio: 0.15, p95_ms: 300, health: { state: 'fail' } })
    expect(folded?.in.rps).toBe(40)
    expect(folded?.out.rps).toBe(5)
  })

  it('is the same view when nothing folds', () => {
    expect(foldView(shop, new Set(['nobody']))).toBe(shop)
  })
})

describe('foldedByItself', () => {
  it('folds nobody while everything fits, then the largest first', () => {
    expect(foldedByItself(shop, 400).size).toBe(0)
    expect([...foldedByItself(shop, 6)]).toEqual(['shop'])
  })

  it('folds until what is left fits: edges between two folds stand as one', () => {
    // Twenty namespaces of ten, each of whose workloads calls the next namespace: as folds, 20 and 19.
    const names = Array.from({ length: 200 }, (_, i) => `team-${String(Math.floor(i / 10)).padStart(2, '0')}/w${i % 10}`)
    const large = view(names.map((id) => node(id)), names.slice(10).map((id, i) => edge(names[i]!, id)))
    const folded = foldedByItself(large, 100)
    const left = foldView(large, folded)
    expect(left.nodes.length + left.edges.length).toBeLessThanOrEqual(100)
    expect(folded.size).toBeLessThan(20)
  })

  it('goes by size alone: who is sick stays where he is', () => {
    const well = { ...shop, nodes: shop.nodes.map((n) => ({ ...n, health: { state: 'ok' as const, reasons: [] } })) }
    expect(foldedByItself(well, 6)).toEqual(foldedByItself(shop, 6))
  })
})

describe('focusView', () => {
  it('keeps what is so many calls away, in both directions', () => {
    const near = focusView(cinema(), 'cinema/payments', 1)
    expect(near.view.nodes.map((n) => n.id)).toEqual(['cinema/tickets', 'cinema/payments', 'bank'])
    expect(near.beyond).toBe(2)
    expect(focusView(cinema(), 'cinema/payments', 3).beyond).toBe(0)
  })

  it('keeps everything for a name that is not there', () => {
    expect(focusView(cinema(), 'gone', 1)).toMatchObject({ beyond: 0, found: false })
  })
})

describe('buildModel', () => {
  it('counts what is folded, hidden and out of focus', () => {
    const matched = { ...shop, matched: { nodes: 1, edges: 0 }, nodes: shop.nodes.map((n) => ({ ...n, match: n.name === 'out' })) }
    const model = buildModel(matched, { hide: true, fold: new Set(['shop']) })
    expect(countInWords(model, 'workload')).toBe('1 workload, 1 edge drawn, 2 workloads folded, 2 hidden')
    expect(model.groups.map((g) => g.name)).toEqual(['front'])
    const focused = buildModel(shop, { fold: new Set(['shop']), focus: 'namespace:shop', hops: 1 })
    expect([...focused.nodes.keys()]).toContain('namespace:shop')
  })
})

describe('withFolds', () => {
  it('draws what the server folded like what is folded here', () => {
    const big = node('namespace:big', { kind: 'namespace', namespace: 'big', name: 'big', folded: { namespaces: 1, workloads: 3, failing: 1 }, health: { state: 'fail', reasons: [] } })
    const served = view([big, node('a/x'), ...Array.from({ length: 300 }, (_, i) => node(`a/n${i}`))], [])
    expect(withFolds(served).nodes[0]).toMatchObject({ fold: { states: ['fail', 'ok', 'ok'] } })
    // The server has chosen: nothing more folds by itself.
    const model = buildModel(served, { auto: { open: new Set() } })
    expect(countInWords(model, 'workload')).toBe('301 workloads, 0 edges drawn, 3 workloads folded, 0 hidden')
  })
  it('leaves open what is to stay open', () => {
    const many = view(['a', 'b', 'c'].flatMap((ns) => Array.from({ length: 100 }, (_, i) => node(`${ns}/n${i}`))), [])
    expect([...buildModel(many, { auto: { open: new Set(['b']) } }).folded.namespaces]).not.toContain('b')
  })
})
