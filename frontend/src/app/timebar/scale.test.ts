import { describe, expect, it } from 'vitest'
import type { Timeline } from '@/api/types'
import { frozenLink } from '../link'
import { clusterMarkers, markerWords, nearestMarker, scaleOf, windowFor } from './scale'

const inset = { left: 10, right: 10 }
const from = Date.parse('2026-11-21T12:00:00Z')
const timeline: Timeline = { from: '2026-11-21T12:00:00Z', step_s: 6, rps: [], errors_per_s: Array.from({ length: 300 }, () => 0), markers: [] }

describe('scaleOf', () => {
  it('ends at now while live, between two answers too', () => {
    const now = from + 1_803_000
    const scale = scaleOf(timeline, 1800, now, 1020, inset)
    expect(scale.live).toBe(true)
    expect(scale.x(now)).toBe(1010)
    expect(scale.time(10)).toBe(now - 1_800_000)
  })

  it('stands where its data stands in the past', () => {
    const scale = scaleOf(timeline, 1800, from + 86_400_000, 1020, inset)
    expect(scale.live).toBe(false)
    expect([scale.x(from), scale.x(from + 1_800_000)]).toEqual([10, 1010])
  })

  it('goes there and back', () => {
    const scale = scaleOf(timeline, 1800, null, 733, inset)
    for (const x of [10, 200, 723]) expect(scale.x(scale.time(x))).toBeCloseTo(x)
  })
})

describe('windowFor', () => {
  const windows = ['5m', '15m', '30m'] as const
  const end = from + 1_800_000
  const busySince = (secondsAgo: number): Timeline => ({ ...timeline, rps: Array.from({ length: 300 }, (_, i) => (i * 6 >= 1800 - secondsAgo ? 9 : 0)) })
  it('is the smallest that shows all there is', () => {
    expect([60, 299, 312, 890, 912, 1800].map((age) => windowFor(busySince(age), windows, end))).toEqual(['5m', '5m', '15m', '15m', '30m', '30m'])
  })
  it('reaches back to what happened before the first request', () => {
    const started = { at: new Date(end - 400_000).toISOString(), kind: 'start' as const, text: 'web started' }
    expect(windowFor({ ...busySince(60), markers: [started] }, windows, end)).toBe('15m')
  })
  it('is the widest while nothing is known', () => {
    expect([windowFor(undefined, windows, end), windowFor(timeline, windows, end)]).toEqual(['30m', '30m'])
  })
})

describe('nearestMarker', () => {
  it('finds the one under the pointer, if any', () => {
    const scale = scaleOf(timeline, 1800, null, 1020, inset)
    const markers = [
      { at: '2026-11-21T12:10:00Z', kind: 'config' as const, text: 'rev 1' },
      { at: '2026-11-21T12:20:00Z', kind: 'config' as const, text: 'rev 2' },
    ]
    expect(nearestMarker(markers, scale, scale.x(from + 600_000) + 3)?.text).toBe('rev 1')
    expect(nearestMarker(markers, scale, 500)).toBeNull()
  })
})

describe('clusterMarkers', () => {
  const marker = (second: number, kind: 'config' | 'start') => ({ at: new Date(from + second * 1000).toISOString(), kind, text: `${kind} ${second}` })
  it('joins what lies together, the weightiest in front', () => {
    const clusters = clusterMarkers([marker(2, 'start'), marker(0, 'start'), marker(4, 'config'), marker(60, 'start')], (m) => (Date.parse(m.at) - from) / 1000)
    expect(clusters.map((c) => [c.marker.text, c.x, c.more])).toEqual([['config 4', 4, 2], ['start 60', 60, 0]])
  })
})

describe('frozenLink', () => {
  it('fixes a live view to its moment, and leaves a past one', () => {
    const now = new Date('2026-11-21T12:00:00.123Z')
    expect(frozenLink('http://h/graph?q=a', now)).toBe('http://h/graph?q=a&at=2026-11-21T12%3A00%3A00Z')
    expect(frozenLink('http://h/graph?at=2026-11-20T00%3A00%3A00Z', now)).toContain('11-20')
  })
})

describe('markerWords', () => {
  it.each([
    ['changed VirtualService booking/tickets', 4, 'rev 4 tickets'],
    ['rolled back to revision 3: added VirtualService a/x and VirtualService a/y, removed ServiceEntry b/z', 5, 'rev 5 x, y, z'],
    ['changed 7 objects', 6, 'changed 7 objects'],
    ['front/web started (web-1.front)', undefined, 'front/web started (web-1.front)'],
  ])('%s', (text, revision, want) => {
    expect(markerWords({ at: '', kind: 'config', text, revision })).toBe(want)
  })
})
