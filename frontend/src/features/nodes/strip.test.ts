import { describe, expect, it } from 'vitest'
import type { Transition } from '@/api/types'
import { linear } from '@/ui/charts/scale'
import { lines as drawn } from './paint'
import { foldLines, marks, roomFor, segments, tones } from './strip'

const T0 = Date.UTC(2025, 0, 1, 14, 0, 0)
const at = (s: number) => new Date(T0 + s * 1000).toISOString()
const tr = (s: number, state: Transition['state'], revision: number): Transition => ({ at: at(s), state, revision })
const window = { from: T0, to: T0 + 1800_000 }

describe('segments', () => {
  it('clips the first to the window and lets the last run to its end', () => {
    const got = segments([tr(-300, 'synced', 1), tr(600, 'rejected', 1)], window)
    expect(got).toEqual([
      { from: T0, to: T0 + 600_000, state: 'synced', revision: 1 },
      { from: T0 + 600_000, to: T0 + 1800_000, state: 'rejected', revision: 1 },
    ])
  })
  it('leaves time before the first transition empty', () => {
    expect(segments([tr(900, 'never-connected', 0)], window)[0]?.from).toBe(T0 + 900_000)
  })
  it('joins neighbours that say the same', () => {
    expect(segments([tr(0, 'synced', 2), tr(60, 'synced', 2), tr(90, 'synced', 3)], window)).toHaveLength(2)
  })
  it('drops what lies outside and what has no length', () => {
    expect(segments([tr(-90, 'slow', 1), tr(-60, 'synced', 1)], { from: T0, to: T0 })).toEqual([])
    expect(segments([tr(2000, 'synced', 1)], window)).toEqual([])
  })
})

describe('marks', () => {
  const a = [tr(-60, 'synced', 7), tr(130, 'synced', 8)]
  const b = [tr(-50, 'synced', 7), tr(120, 'synced', 8), tr(700, 'synced', 9)]
  it('takes the earliest node per revision, and the exact time of the desired one', () => {
    expect(marks([a, b], window, { number: 9, at: at(698) })).toEqual([
      { revision: 8, at: T0 + 120_000 },
      { revision: 9, at: T0 + 698_000 },
    ])
  })
  it('does not call a first sighting a change', () => {
    expect(marks([[tr(10, 'synced', 7)]], window, null)).toEqual([])
  })
  it('ignores a step back to an older revision', () => {
    expect(marks([[tr(-5, 'synced', 9), tr(30, 'synced', 8)]], window)).toEqual([])
  })
})

describe('tones', () => {
  it('makes newer revisions stronger and keeps a floor', () => {
    const t = tones([[tr(0, 'synced', 1), tr(1, 'synced', 2), tr(2, 'synced', 5)]], 9)
    const order = [9, 5, 2, 1].map((r) => t.get(r)!)
    expect([...order].sort((x, y) => y - x)).toEqual(order)
    expect(new Set(order).size).toBe(4)
  })
})

describe('foldLines', () => {
  const node = (id: string, applied: number, ...h: Transition[]) => ({ id, history: h, push: { applied_ms: applied } })
  it('keeps the node that was out of sync, then the slowest, and counts the rest', () => {
    const nodes = [
      node('c', 10, tr(0, 'synced', 1)),
      node('b', 900, tr(0, 'synced', 1)),
      node('a', 5, tr(0, 'synced', 1)),
      node('d', 1, tr(0, 'synced', 1), tr(60, 'slow', 1), tr(90, 'synced', 1)),
    ]
    const { lines, folded } = foldLines(nodes, window, 2)
    expect(lines.map((l) => l.id)).toEqual(['b', 'd'])
    expect(folded).toBe(2)
    expect(lines.reduce((n, l) => n + l.stands, 0)).toBe(4)
  })
  it('gives every node a line while there are few', () => {
    expect(roomFor(4)).toBe(4)
    expect(roomFor(240)).toBeLessThanOrEqual(12)
    expect(roomFor(240)).toBeGreaterThan(roomFor(20))
  })
})

describe('lines of marks', () => {
  const of = (...times: number[]) => times.map((t, i) => ({ revision: i + 1, at: t }))
  const x = linear(0, 100, 0, 1000)
  it('are all drawn while there is room between them', () => {
    expect(drawn(of(0, 10, 20), x)).toHaveLength(3)
    expect(drawn(of(7), x)).toHaveLength(1)
    expect(drawn([], x)).toEqual([])
  })
  it('give way to what they cross where they would stand too close', () => {
    expect(drawn(of(0, 0.2, 0.4, 0.6), x)).toEqual([{ revision: 4, at: 0.6 }])
  })
})
