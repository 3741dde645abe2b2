import { describe, expect, it } from 'vitest'
import { scenarios } from '../../test/scenarios'
import { foldableNamespaces } from './fold'
import { buildModel } from './model'
import { describeEdge, describeNode } from './words'

const all = scenarios()

it('there are scenarios, with views in them', () => {
  expect(all.flatMap((s) => s.views).length).toBeGreaterThan(10)
})

describe.each(all)('the scenario $name', ({ name, views }) => {
  it.each(views)('$name is drawn whole, and nobody is healthier than what stands in it', ({ view }) => {
    const model = buildModel(view)
    expect([...model.nodes.keys()]).toEqual(view.nodes.map((n) => n.id))
    expect([...model.edges.keys()]).toEqual(view.edges.map((e) => e.id))
    for (const group of model.groups) {
      const states = group.members.map((id) => model.nodes.get(id)?.health.state)
      expect(states).toContain(group.health)
      if (states.includes('fail')) expect(group.health).toBe('fail')
    }
  })

  it.each(views)('$name folds without losing a request', ({ view }) => {
    const namespaces = foldableNamespaces(view)
    const folded = buildModel(view, { fold: new Set(namespaces.keys()) })
    const inside = (id: string) => view.nodes.find((n) => n.id === id)?.namespace ?? ''
    const apart = (e: { source: string; target: string }) => e.source !== e.target
    const between = view.edges.filter(
      (e) => apart(e) && (!namespaces.has(inside(e.source)) || inside(e.source) !== inside(e.target))
    )
    const drawn = [...folded.edges.values()].filter(apart)
    expect(sum(drawn.map((e) => e.rps))).toBeCloseTo(sum(between.map((e) => e.rps)), 3)
  })

  it('is told as it was', async () => {
    const lines = views.flatMap(({ name: of, view }) => {
      const model = buildModel(view)
      return [
        `-- ${of} --`,
        ...[...model.nodes.values()].map((n) => describeNode(n, model)),
        ...[...model.edges.values()].map((e) => describeEdge(e, model)),
        ...view.stale.map((s) => `stale: ${s.source}: ${s.reason}`),
      ]
    })
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(`fixtures/scenarios/${name}.txt`)
  })
})

function sum(values: number[]): number {
  return values.reduce((a, b) => a + b, 0)
}
