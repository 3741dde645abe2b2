import { describe, expect, it } from 'vitest'
import { compareViews } from './compare'
import { cinema, edge, node } from './fixtures/view'
import { buildModel } from './model'
import { badgesOf } from './words'

const then = cinema()
const now = {
  ...then,
  nodes: [...then.nodes.filter((n) => n.name !== 'catalog'), node('cinema/catalog-v2')],
  edges: [
    edge('cinema/web', 'cinema/tickets', { rps: 40, p95_ms: 21 }),
    edge('cinema/tickets', 'cinema/payments', { error_ratio: 0.2 }, 'warn'),
    edge('cinema/payments', 'bank', { rps: 11 }),
    edge('cinema/web', 'cinema/catalog-v2'),
  ],
}
const { view, lines, counts } = compareViews(then, now)

describe('compareViews', () => {
  it('keeps what is gone, with what it was', () => {
    expect(view.nodes.find((n) => n.name === 'catalog')).toMatchObject({ change: 'removed' })
    expect(view.edges.find((e) => e.target === 'cinema/catalog')).toMatchObject({ change: 'removed', rps: 10 })
    expect(counts).toEqual({ added: 2, removed: 2, changed: 2 })
  })

  it('says what changed, and leaves noise out', () => {
    expect(lines.map((l) => `${l.change} ${l.name}: ${l.text}`)).toEqual([
      'removed catalog: gone',
      'added catalog-v2: new',
      'removed web → catalog: gone, was 10 rps',
      'changed tickets → payments: failing → degraded, 0.0\u2009% → 20.0\u2009% errors',
      'added web → catalog-v2: new, 10 rps',
      'changed web → tickets: 10 → 40 rps',
    ])
  })

  it('leaves out what chance makes of few requests', () => {
    const at = (rps: number, error_ratio: number) => ({ ...then, edges: [edge('cinema/web', 'cinema/tickets', { rps, error_ratio })] })
    const said = (a: ReturnType<typeof at>, b: ReturnType<typeof at>) => compareViews(a, b).lines.map((l) => l.text)
    expect(said(at(5, 0.15), at(5, 0.19))).toEqual([])
    expect(said(at(500, 0.15), at(500, 0.19))).toEqual(['15.0\u2009% → 19.0\u2009% errors'])
    expect(said(at(0.2, 0), at(0.9, 0))).toEqual(['0.20 → 0.90 rps'])
    expect(said(at(0.1, 0), at(0.4, 0))).toEqual([])
  })

  it('finds nothing between a view and itself', () => {
    const same = compareViews(then, then)
    expect(same.lines).toEqual([])
    expect(same.view.nodes).toEqual(then.nodes)
  })

  it('is drawn as one picture, with badges', () => {
    const model = buildModel(view)
    const words = (name: string) => badgesOf([...model.nodes.values()].find((n) => n.name === name)!, model).map((b) => b.text)
    expect(words('catalog')).toEqual(['gone'])
    expect(words('catalog-v2')).toEqual(['new'])
    expect(words('web')).toEqual([])
  })
})
