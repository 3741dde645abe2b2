import { beforeEach, describe, expect, it } from 'vitest'
import { GraphEngine } from './engine'
import { cinema, edge, node } from './fixtures/view'
import { type Layout, laidOut } from './layout'
import type { LayoutRunner } from './layout-runner'
import { buildModel } from './model'
import { linkOf, routeEdges } from './route'

class Memory {
  private readonly items = new Map<string, string>()
  getItem = (key: string) => this.items.get(key) ?? null
  setItem = (key: string, value: string) => void this.items.set(key, value)
}

let runs: number
const runner: LayoutRunner = {
  run: (input) => {
    runs++
    return Promise.resolve(laidOut(input))
  },
  stop: () => undefined,
}
const settle = () => new Promise((resolve) => setTimeout(resolve, 0))
const plain = (engine: GraphEngine) => Object.fromEntries(engine.picture.get().positions)

function grown(extra: string[]) {
  const v = cinema()
  return buildModel({ ...v, nodes: [...v.nodes, ...extra.map((id) => node(id))], edges: [...v.edges, ...extra.map((id) => edge('cinema/web', id))] })
}

describe('GraphEngine', () => {
  beforeEach(() => {
    runs = 0
  })

  it('lays the first picture out as a whole', async () => {
    const engine = new GraphEngine({ runner, storage: null })
    engine.setModel(buildModel(cinema()), 'workload')
    expect(engine.picture.get().ready).toBe(false)
    await settle()
    expect(engine.picture.get().ready).toBe(true)
    expect(engine.picture.get().positions.size).toBe(5)
    expect(engine.picture.get().routes.size).toBe(4)
  })

  it('takes the routes that came with the layout, but not past somebody who came meanwhile', async () => {
    const answers: Layout[] = []
    const late: LayoutRunner = { ...runner, run: (input) => runner.run(input).then((layout) => (answers.push(layout), layout)) }
    const first = buildModel(cinema())
    const engine = new GraphEngine({ runner: late, storage: null })
    engine.setModel(first, 'workload')
    await settle()
    const { routes, positions } = engine.picture.get()
    expect(routes).toBe(answers[0]?.routes)
    expect(routes).toEqual(routeEdges([...first.edges.values()].map(linkOf), positions))

    const other = new GraphEngine({ runner: late, storage: null })
    other.setModel(grown(['cinema/a', 'cinema/b', 'cinema/c', 'cinema/d']), 'workload')
    const next = grown(['cinema/a', 'cinema/b', 'cinema/c', 'cinema/d', 'cinema/e'])
    other.setModel(next, 'workload')
    await settle()
    expect(other.picture.get().routes.size).toBe(next.edges.size)
  })

  it('does not lay out again when only figures change', async () => {
    const engine = new GraphEngine({ runner, storage: null })
    engine.setModel(buildModel(cinema()), 'workload')
    await settle()
    const before = engine.picture.get().positions
    engine.setModel(buildModel(cinema()), 'workload')
    await settle()
    expect(runs).toBe(1)
    expect(engine.picture.get().positions).toBe(before)
  })

  it('moves nobody when one joins a finished picture', async () => {
    const engine = new GraphEngine({ runner, storage: null })
    engine.setModel(grown(['cinema/a', 'cinema/b', 'cinema/c']), 'workload')
    await settle()
    const before = plain(engine)
    engine.setModel(grown(['cinema/a', 'cinema/b', 'cinema/c', 'cinema/d']), 'workload')
    await settle()
    expect(runs).toBe(1)
    expect(plain(engine)).toMatchObject(before)
    expect(engine.picture.get().added).toBe(1)
  })

  it('puts one that comes back where it was', async () => {
    const engine = new GraphEngine({ runner, storage: null })
    engine.setModel(grown(['cinema/a']), 'workload')
    await settle()
    const before = plain(engine)['cinema/a']
    engine.setModel(buildModel(cinema()), 'workload')
    engine.setModel(grown(['cinema/a']), 'workload')
    await settle()
    expect(plain(engine)['cinema/a']).toEqual(before)
  })

  it('keeps positions over a reload, each level its own', async () => {
    const storage = new Memory()
    const first = new GraphEngine({ runner, storage })
    first.setModel(buildModel(cinema()), 'workload')
    await settle()
    first.stop()
    const second = new GraphEngine({ runner, storage })
    second.setModel(buildModel(cinema()), 'workload')
    await settle()
    expect(runs).toBe(1)
    expect(plain(second)).toEqual(plain(first))
    second.setModel(buildModel(cinema()), 'service')
    await settle()
    expect(runs).toBe(2)
  })

  it('starts anew from a damaged store', async () => {
    const storage = new Memory()
    storage.setItem('sidelight.graph.workload', '{"a":"b"')
    const engine = new GraphEngine({ runner, storage })
    engine.setModel(buildModel(cinema()), 'workload')
    await settle()
    expect(engine.picture.get().positions.size).toBe(5)
  })

  it('lays everything out anew when asked to tidy', async () => {
    const engine = new GraphEngine({ runner, storage: null })
    engine.setModel(grown(['cinema/a', 'cinema/b', 'cinema/c']), 'workload')
    await settle()
    engine.setModel(grown(['cinema/a', 'cinema/b', 'cinema/c', 'cinema/d']), 'workload')
    engine.tidy()
    await settle()
    expect(runs).toBe(2)
    expect(engine.picture.get().added).toBe(0)
  })
})
