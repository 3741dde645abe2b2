import { describe, expect, it } from 'vitest'
import { applyGraphDelta } from '@/api/graph'
import { cinema, edge, node, view } from './fixtures/view'
import { buildModel, countInWords } from './model'

describe('buildModel', () => {
  it('puts workloads into the box of their namespace and hosts outside', () => {
    const model = buildModel(cinema())
    expect(model.groups.map((g) => [g.name, g.members.length])).toEqual([
      ['cinema', 4],
      ['Outside the mesh', 1],
    ])
    expect(model.groupOf.get('bank')).toBe('outside')
  })

  it('gives a box the health of its worst child and counts only what comes from outside it', () => {
    const before = cinema()
    const model = buildModel({ ...before, nodes: [...before.nodes, node('other/cron')], edges: [...before.edges, edge('other/cron', 'cinema/web', { rps: 7 })] })
    const box = model.groups.find((g) => g.name === 'cinema')
    expect(box?.health).toBe('fail')
    expect(box?.rpsIn).toBe(7)
  })

  it('leaves unknown callers and whole namespaces out of boxes', () => {
    const model = buildModel(view([node('unknown', { kind: 'unknown' }), node('ns', { kind: 'namespace', namespace: 'ns' })], []))
    expect(model.groups).toEqual([])
  })

  it('takes away what matches when hiding, with the edges that lose an end', () => {
    const v = cinema()
    const matched = { ...v, matched: { nodes: 1, edges: 0 }, nodes: v.nodes.map((n) => ({ ...n, match: n.name === 'tickets' })) }
    const hidden = buildModel(matched, { hide: true })
    expect([...hidden.nodes.keys()]).not.toContain('cinema/tickets')
    expect(hidden.edges.size).toBe(2)
    expect(countInWords(hidden, 'workload')).toBe('4 workloads, 2 edges drawn, 3 hidden')
    expect(buildModel(matched).finding).toBe(true)
  })

  it('drops edges whose ends the server did not send', () => {
    const model = buildModel(view([node('a/b')], [edge('a/b', 'a/gone')]))
    expect(model.edges.size).toBe(0)
  })

  it('has the same structure while only figures change', () => {
    const a = cinema()
    const b = { ...a, edges: a.edges.map((e) => ({ ...e, rps: e.rps * 2 })).reverse() }
    expect(buildModel(a).structure).toBe(buildModel(b).structure)
    expect(buildModel({ ...a, edges: a.edges.slice(1) }).structure).not.toBe(buildModel(a).structure)
  })
})

describe('applyGraphDelta', () => {
  const empty = { nodes: [], edges: [], gone_nodes: [], gone_edges: [], stale: [], totals: { rps: 1, error_ratio: 0, p95_ms: null }, window_s: 30 }

  it('keeps the identity of what did not change', () => {
    const before = cinema()
    const after = applyGraphDelta(before, empty)
    expect(after.nodes).toBe(before.nodes)
    expect(after.edges).toBe(before.edges)
    expect(after.totals.rps).toBe(1)
  })

  it('replaces, adds and removes', () => {
    const before = cinema()
    const after = applyGraphDelta(before, {
      ...empty,
      nodes: [node('cinema/web', { version: 'v2' }), node('cinema/seats')],
      gone_nodes: ['bank'],
      gone_edges: ['cinema/payments>bank:http'],
    })
    expect(after.nodes.map((n) => n.id)).toEqual(['cinema/web', 'cinema/catalog', 'cinema/tickets', 'cinema/payments', 'cinema/seats'])
    expect(after.nodes[0]?.version).toBe('v2')
    expect(after.nodes[1]).toBe(before.nodes[1])
    expect(after.edges).toHaveLength(3)
  })

  it('lets a removal win over an upsert of the same frame', () => {
    const after = applyGraphDelta(cinema(), { ...empty, nodes: [node('bank')], gone_nodes: ['bank'] })
    expect(after.nodes.map((n) => n.id)).not.toContain('bank')
  })
})
