import { describe, expect, it } from 'vitest'
import { nodeStatus } from './fixtures/nodes'
import { listItems } from './groups'
import type { ListOptions } from './groups'

const window = { from: Date.parse('2025-01-01T14:00:00Z'), to: Date.parse('2025-01-01T14:30:00Z') }
const options = (over: Partial<ListOptions> = {}): ListOptions => ({
  match: () => true, state: undefined, revision: undefined, open: null, openGroups: new Set(), order: 'state', window, ...over,
})
const nodes = [
  nodeStatus({ id: 'b', state: 'stale', lag_s: 5 }),
  nodeStatus({ id: 'a', state: 'stale', lag_s: 50 }),
  nodeStatus({ id: 'c', state: 'rejected', lag_s: 1 }),
  ...Array.from({ length: 40 }, (_, i) => nodeStatus({ id: `s${i}`, push: { sent_ms: 1, acked_ms: 2, applied_ms: 100 + i } })),
  nodeStatus({ id: 'f1', workload: { namespace: 'front', name: 'web' }, build: '1.7.4' }),
]
const ids = (o?: Partial<ListOptions>) => listItems(nodes, options(o)).items.map((i) => i.id)

describe('listItems', () => {
  it('puts the odd first, worst state first, longest lag first, and folds the rest by namespace', () => {
    expect(ids()).toEqual(['head odd', 'c', 'a', 'b', 'head synced', 'group cinema', 'group front'])
  })
  it('sorts by what is asked, what was never applied before what took long', () => {
    expect(ids({ order: 'lag' }).slice(1, 4)).toEqual(['a', 'b', 'c'])
    expect(ids({ order: 'push', openGroups: new Set(['cinema']) }).slice(-3, -1)).toEqual(['s1', 's0'])
    const pushed = [nodeStatus({ id: 'quick', state: 'slow' }), nodeStatus({ id: 'never', state: 'slow', push: { sent_ms: 1, acked_ms: null, applied_ms: null } })]
    expect(listItems(pushed, options({ order: 'push' })).items.map((i) => i.id)).toEqual(['head odd', 'never', 'quick'])
  })
  it('counts what is folded', () => {
    const head = listItems(nodes, options()).items.find((i) => i.id === 'head synced')
    expect(head).toMatchObject({ nodes: 41 })
    const lines = listItems(nodes, options()).items.flatMap((i) => (i.kind === 'group' ? [i.group.lines.length] : []))
    expect(head?.kind === 'head' && head.note).toBe(`${lines[0]! + lines[1]!} most eventful shown as one line each, ${41 - lines[0]! - lines[1]!} folded into them`)
  })
  it('sums up a group by its slowest, its builds and its p99', () => {
    const group = listItems(nodes, options()).items.find((i) => i.id === 'group cinema')
    expect(group?.kind === 'group' && group.group).toMatchObject({ slowest: { id: 's39' }, applied_p99_ms: 139, builds: [{ build: '1.8.0', nodes: 40 }] })
  })
  it('opens the drill below its row, inside its group', () => {
    expect(ids({ open: 'a' }).slice(0, 4)).toEqual(['head odd', 'c', 'a', 'drill a'])
    expect(ids({ open: 'f1' }).slice(-3)).toEqual(['group front', 'f1', 'drill f1'])
  })
  it('filters by state, by revision and by expression', () => {
    expect(ids({ state: 'stale' })).toEqual(['head odd', 'a', 'b'])
    expect(listItems(nodes, options({ revision: 1 })).matched).toBe(0)
    expect(ids({ match: (n) => n.build === '1.7.4' })).toEqual(['head synced', 'group front'])
  })
})
