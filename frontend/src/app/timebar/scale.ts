import type { Marker, Timeline } from '@/api/types'
import { windowSeconds } from '@/lib/time'

export type TrackScale = {
  from: number
  to: number
  live: boolean
  x: (ms: number) => number
  time: (x: number) => number
}

/** Live ends at now and moves; a past window stands where its data stands. */
export function scaleOf(timeline: Timeline, seconds: number, now: number | null, width: number, inset: { left: number; right: number }): TrackScale {
  const start = Date.parse(timeline.from)
  const end = start + timeline.errors_per_s.length * timeline.step_s * 1000
  // Between two answers the data ends a little before now; further apart it is another time.
  const live = now !== null && now - end < Math.max(20_000, timeline.step_s * 3000)
  const to = live && now !== null ? now : end
  const from = to - seconds * 1000
  const inner = Math.max(1, width - inset.left - inset.right)
  return {
    from,
    to,
    live: live || now === null,
    x: (ms) => inset.left + ((ms - from) / (to - from || 1)) * inner,
    time: (x) => from + ((x - inset.left) / inner) * (to - from),
  }
}

/** The smallest of the windows that shows all there is; a young mesh would else be a corner of its bar. */
export function windowFor<W extends string>(timeline: Timeline | undefined, windows: readonly W[], now: number): W {
  const widest = windows.at(-1)!
  if (!timeline) return widest
  const first = timeline.rps.findIndex((rps) => rps > 0)
  const begins = timeline.markers.map((m) => Date.parse(m.at))
  if (first >= 0) begins.push(Date.parse(timeline.from) + first * timeline.step_s * 1000)
  if (begins.length === 0) return widest
  const age = (now - Math.min(...begins)) / 1000
  return windows.find((w) => (windowSeconds(w) ?? 0) >= age) ?? widest
}

export function nearestMarker(markers: readonly Marker[], scale: TrackScale, x: number): Marker | null {
  let best: Marker | null = null
  let reach = 6
  for (const m of markers) {
    const d = Math.abs(scale.x(Date.parse(m.at)) - x)
    if (d <= reach) {
      reach = d
      best = m
    }
  }
  return best
}

/** What there is room for beside a mark: "rev 128 tickets, catalog" for what a revision changed. */
export function markerWords({ text, revision }: Marker): string {
  const names = [...text.matchAll(/ [^\s/]+\/([^\s,]+)/g)].map((m) => m[1])
  return revision && names.length > 0 ? `rev ${revision} ${names.join(', ')}` : text
}

export type MarkerCluster = { marker: Marker; x: number; more: number }

const order: Record<Marker['kind'], number> = { alert: 0, config: 1, breaker: 2, stop: 3, start: 4 }
const near = 9

/** Marks that would lie on each other become one: the weightiest, and how many more. */
export function clusterMarkers(markers: readonly Marker[], x: (m: Marker) => number): MarkerCluster[] {
  const clusters: MarkerCluster[] = []
  for (const marker of markers.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at))) {
    const at = x(marker)
    const last = clusters.at(-1)
    if (!last || at - last.x > near) {
      clusters.push({ marker, x: at, more: 0 })
      continue
    }
    last.more++
    if (order[marker.kind] < order[last.marker.kind]) {
      last.marker = marker
      last.x = at
    }
  }
  return clusters
}
