import { describe, expect, it } from 'vitest'
import type { TraceSummary } from '@/api/types'
import { brushed, nearest, plotOf, scalesOf } from './scatter'

const t = (start: string, duration_ms: number, errors = 0): TraceSummary => ({
  trace_id: start, service: 'web', operation: 'GET /', start, duration_ms, spans: 10, errors, status: errors ? 504 : 200, services: [],
})
const frame = { left: 0, right: 1000, top: 0, bottom: 100 }

describe('plotOf', () => {
  it('draws failures on top and keeps every point inside', () => {
    const p = plotOf([t('2025-01-01T14:00:10Z', 2000, 1), t('2025-01-01T14:00:00Z', 2), t('2025-01-01T14:01:00Z', 40)])
    expect(p.points.map((q) => q.failed)).toEqual([false, false, true])
    const { x, y } = scalesOf(p, frame)
    for (const q of p.points) {
      expect(x(q.at)).toBeGreaterThan(0)
      expect(x(q.at)).toBeLessThan(1000)
      expect(y(q.ms)).toBeGreaterThan(0)
      expect(y(q.ms)).toBeLessThan(100)
    }
    expect(p.ticks).toEqual([10, 100, 1000])
  })
  it('stands nothing, and one trace alone', () => {
    expect(plotOf([]).ticks).toHaveLength(4)
    const one = plotOf([t('2025-01-01T14:00:00Z', 5)])
    expect(one.to).toBeGreaterThan(one.from)
  })
})

describe('pointing', () => {
  const p = plotOf([t('2025-01-01T14:00:00Z', 10), t('2025-01-01T14:01:00Z', 1000, 1)])
  const { x, y } = scalesOf(p, frame)
  it('finds the nearest point in reach', () => {
    expect(nearest(p, x, y, x(Date.parse('2025-01-01T14:01:00Z')) + 4, y(1000) - 4)?.failed).toBe(true)
    expect(nearest(p, x, y, 500, 50)).toBeNull()
  })
  it('turns a dragged rectangle into a search, whatever its direction', () => {
    const a = { x0: x(Date.parse('2025-01-01T14:00:30Z')), y0: y(100), x1: x(Date.parse('2025-01-01T14:00:40Z')), y1: y(20) }
    const want = { from: '2025-01-01T14:00:30.000Z', to: '2025-01-01T14:00:40.000Z', min_ms: '20', max_ms: '100' }
    expect(brushed(a, x, y)).toEqual(want)
    expect(brushed({ x0: a.x1, y0: a.y1, x1: a.x0, y1: a.y0 }, x, y)).toEqual(want)
  })
})
