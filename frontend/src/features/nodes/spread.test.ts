import { describe, expect, it } from 'vitest'
import { linear } from '@/ui/charts/scale'
import { quantile, spreadModel, steps } from './spread'

const accepted = '2025-01-01T14:00:00.000Z'
const now = Date.parse(accepted) + 780_000

describe('spreadModel', () => {
  it('counts shares of all nodes, also of those that wait', () => {
    const m = spreadModel({ revision: 4, accepted_at: accepted, sent_ms: [50, 60, 70, 80], acked_ms: [90, 95, 99], applied_ms: [100, 120], waiting: 2 }, now)
    expect(m.total).toBe(4)
    expect(m.reached).toEqual({ sent: 4, acked: 3, applied: 2 })
    expect(m.quantiles).toEqual([{ q: 0.5, ms: 120 }, { q: 0.95, ms: null }, { q: 0.99, ms: null }])
  })
  it('runs the axis to now while somebody waits, and to the last node when not', () => {
    const base = { revision: 4, accepted_at: accepted, sent_ms: [50], acked_ms: [60], applied_ms: [2000] }
    expect(spreadModel({ ...base, waiting: 1 }, now).to).toBe(780_000)
    expect(spreadModel({ ...base, waiting: 0 }, now).to).toBe(3200)
  })
  it('stands an empty spread', () => {
    const m = spreadModel({ revision: 0, accepted_at: accepted, sent_ms: [], acked_ms: [], applied_ms: [], waiting: 0 }, now)
    expect(m.total).toBe(0)
    expect(m.to).toBeGreaterThan(m.from)
    expect(m.quantiles.every((q) => q.ms === null)).toBe(true)
  })
})

describe('quantile', () => {
  it.each([
    [[1, 2, 3, 4], 0.5, 4, 2],
    [[1, 2, 3, 4], 0.99, 4, 4],
    [[1, 2, 3, 4], 0.5, 10, null],
    [[7], 0.5, 1, 7],
  ] as const)('%j at %d of %d is %s', (values, q, total, want) => expect(quantile(values, q, total)).toBe(want))
})

describe('steps', () => {
  it('rises by one node where that node lies', () => {
    const got = steps([2, 5], 4, linear(0, 10, 0, 10), 0, 10)
    expect([...got]).toEqual([0, 0, 0.25, 0.25, 0.25, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
  })
})
