import { describe, expect, it } from 'vitest'
import { failedTrace, span, wideTrace } from './fixtures/trace'
import { ancestry, ATTEMPT, buildTree, CRITICAL, foldQuiet, foldToDepth, hasChildren, ORIGIN, ORPHAN, reveal, visibleRows } from './tree'

const rows = (tree: ReturnType<typeof buildTree>, folded: Uint8Array) => {
  const out = new Uint32Array(tree.size)
  return [...out.subarray(0, visibleRows(tree, folded, out))].map((i) => tree.spans[i]!.span_id)
}
const trace = (...spans: ReturnType<typeof span>[]) => ({ ...failedTrace(), spans, critical_path: [], duration_ms: 1 })

describe('buildTree', () => {
  const tree = buildTree(trace(span('a', 0), span('b', 1), span('c', 2), span('d', 2), span('e', 1), span('f', 0, { parent_id: 'gone' })))

  it('finds parents and subtree ends from pre-order and depth', () => {
    expect([...tree.parent]).toEqual([-1, 0, 1, 1, 0, -1])
    expect([...tree.end]).toEqual([5, 4, 3, 4, 5, 6])
    expect([0, 1, 2].map((i) => hasChildren(tree, i))).toEqual([true, true, false])
    expect(ancestry(tree, 3).map((i) => tree.spans[i]!.span_id)).toEqual(['a', 'b', 'd'])
  })
  it('marks roots whose parent is missing', () => {
    expect(tree.flags[5]! & ORPHAN).toBeTruthy()
    expect(tree.flags[0]! & ORPHAN).toBeFalsy()
  })
  it('stands an empty trace', () => {
    const empty = buildTree(trace())
    expect(empty.size).toBe(0)
    expect(empty.duration_us).toBeGreaterThan(0)
  })
})

describe('errors', () => {
  it('names the deepest failure as origin, not the callers that passed it on', () => {
    const tree = buildTree(failedTrace())
    expect(tree.origins.map((i) => tree.spans[i]!.span_id)).toEqual(['at1', 'at2', 'at3'])
    expect(tree.flags[tree.index.get('at1')!]! & (ORIGIN | ATTEMPT)).toBe(ORIGIN | ATTEMPT)
    expect(tree.flags[0]! & ORIGIN).toBe(0)
    expect(tree.errors[0]).toBeGreaterThan(3)
    expect(tree.flags[0]! & CRITICAL).toBeTruthy()
  })
})

describe('folding', () => {
  const tree = buildTree(trace(span('a', 0), span('b', 1), span('c', 2, { status: 'error' }), span('d', 1), span('e', 2)))
  it('hides a folded subtree only', () => {
    const folded = new Uint8Array(tree.size)
    folded[1] = 1
    expect(rows(tree, folded)).toEqual(['a', 'b', 'd', 'e'])
    folded[0] = 1
    expect(rows(tree, folded)).toEqual(['a'])
  })
  it('shows a call as one row, whatever sidecars tell of it', () => {
    const call = buildTree(trace(span('app', 0), span('out', 1, { hop: 'app' }), span('in', 2, { hop: 'app' }), span('next', 3)))
    const out = new Uint32Array(call.size)
    expect([...out.subarray(0, visibleRows(call, new Uint8Array(call.size), out, true))]).toEqual([0, 3])
    expect([...call.shallow]).toEqual([0, 1, 1, 1])
  })
  it('reveals a hidden span', () => {
    const folded = new Uint8Array(tree.size).fill(1)
    expect(reveal(tree, folded, 2)).toBe(true)
    expect(rows(tree, folded)).toEqual(['a', 'b', 'c', 'd'])
    expect(reveal(tree, folded, 2)).toBe(false)
  })
  it('folds to a depth, and folds what is quiet', () => {
    const folded = new Uint8Array(tree.size)
    foldToDepth(tree, folded, 1)
    expect(rows(tree, folded)).toEqual(['a', 'b', 'd'])
    foldQuiet(tree, folded)
    expect(rows(tree, folded)).toEqual(['a', 'b', 'c', 'd'])
  })
  // What that costs is measured by `make bench-trace-ui`.
  it('lists 80 000 rows', () => {
    const big = buildTree(wideTrace(80_000))
    const out = new Uint32Array(big.size)
    const folded = new Uint8Array(big.size)
    expect(visibleRows(big, folded, out)).toBe(80_000)
    folded[0] = 1
    expect(visibleRows(big, folded, out)).toBe(1)
  })
})
