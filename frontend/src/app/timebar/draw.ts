import type { Marker, Timeline } from '@/api/types'
import { figure, middle } from '@/lib/format'
import { clockShort, tickStep } from '@/lib/time'
import { clusterMarkers, markerWords, type TrackScale } from './scale'

/** Paints the time bar's track: axis, errors, markers with words, the playhead. */

export const inset = { left: 12, right: 16 } as const

export type Ink = Record<'text' | 'text2' | 'text3' | 'line' | 'lineStrong' | 'fail' | 'failText' | 'warn' | 'info' | 'bar' | 'ok', string> & { font: string }

export function readInk(element: Element): Ink {
  const style = getComputedStyle(element)
  const read = (name: string) => style.getPropertyValue(name).trim()
  return {
    text: read('--text'),
    text2: read('--text-2'),
    text3: read('--text-3'),
    line: read('--line'),
    lineStrong: read('--line-strong'),
    fail: read('--fail'),
    failText: read('--fail-text'),
    warn: read('--warn'),
    info: read('--info'),
    bar: read('--bar'),
    ok: read('--ok'),
    font: `11px ${style.fontFamily}`,
  }
}

type Job = { timeline: Timeline; scale: TrackScale; size: { w: number; h: number }; at: number | null; vs: number | null; ink: Ink }

export function drawTrack(c: CanvasRenderingContext2D, job: Job): void {
  const { size, ink, timeline } = job
  const low = size.h < 50
  const base = low ? size.h - 8 : 39
  const top = low ? 6 : 15
  const most = Math.max(1, ...timeline.errors_per_s) * 1.15
  c.clearRect(0, 0, size.w, size.h)
  c.font = ink.font
  c.textBaseline = 'alphabetic'
  axis(c, job, base, low)
  errors(c, job, base, top, most)
  markers(c, job, base, top, low)
  compared(c, job, base)
  playhead(c, job, base, top, most)
}

/** The moment that the one shown is compared with. */
function compared(c: CanvasRenderingContext2D, { scale, size, vs, ink }: Job, base: number): void {
  if (vs === null) return
  const x = Math.max(inset.left, Math.min(size.w - inset.right, scale.x(vs)))
  c.strokeStyle = ink.info
  c.lineWidth = 1.5
  c.setLineDash([3, 2])
  line(c, x, 4, x, base)
  c.setLineDash([])
  c.fillStyle = ink.info
  dot(c, x, 5)
}

function axis(c: CanvasRenderingContext2D, { scale, size, ink, timeline }: Job, base: number, low: boolean): void {
  c.strokeStyle = ink.line
  line(c, inset.left, base + 0.5, size.w - inset.right, base + 0.5)
  if (low) return
  const current = timeline.errors_per_s.at(-1) ?? 0
  c.fillStyle = ink.text3
  c.textAlign = 'left'
  c.fillText('errors/s ', inset.left, 12)
  const after = inset.left + c.measureText('errors/s ').width
  c.fillStyle = current > 0.05 ? ink.failText : ink.text2
  c.fillText(figure(current), after, 12)
  const free = after + c.measureText(figure(current)).width + 14
  const seconds = (scale.to - scale.from) / 1000
  const step = tickStep(seconds, Math.max(2, (size.w - 60) / 150)) * 1000
  c.textAlign = 'center'
  // Ticks stand on round local times.
  const offset = new Date(scale.from).getTimezoneOffset() * 60_000
  for (let t = Math.ceil((scale.from - offset) / step) * step + offset; t < scale.to; t += step) {
    const x = scale.x(t)
    c.strokeStyle = ink.lineStrong
    line(c, Math.round(x) + 0.5, base, Math.round(x) + 0.5, base - 3)
    const half = 16
    if (x - half < free || x + half > size.w - 8) continue
    c.fillStyle = ink.text3
    c.fillText(clockShort(t), x, 12)
  }
}

function errors(c: CanvasRenderingContext2D, { timeline, scale, size, ink }: Job, base: number, top: number, most: number): void {
  const start = Date.parse(timeline.from)
  const points = timeline.errors_per_s.map((v, i) => ({
    x: scale.x(start + (i + 0.5) * timeline.step_s * 1000),
    y: base - (v / most) * (base - top),
  }))
  // Nothing went wrong: the axis alone says so.
  if (points.length < 2 || timeline.errors_per_s.every((v) => v < 0.005)) return
  c.save()
  c.beginPath()
  // What is zero lies on the axis: the axis alone shows it.
  c.rect(inset.left, 0, size.w - inset.left - inset.right, base - 0.8)
  c.clip()
  c.beginPath()
  points.forEach((p, i) => (i === 0 ? c.moveTo(p.x, p.y) : c.lineTo(p.x, p.y)))
  const end = scale.x(scale.to)
  c.lineTo(end, points.at(-1)!.y)
  c.strokeStyle = ink.fail
  c.lineWidth = 1.2
  c.lineJoin = 'round'
  c.stroke()
  c.lineTo(end, base)
  c.lineTo(points[0]!.x, base)
  c.closePath()
  c.globalAlpha = 0.18
  c.fillStyle = ink.fail
  c.fill()
  c.restore()
}

/** Marks beneath the line; words where there is room, the newest first. */
function markers(c: CanvasRenderingContext2D, { timeline, scale, size, ink }: Job, base: number, top: number, low: boolean): void {
  const clusters = clusterMarkers(timeline.markers, (m) => Math.round(scale.x(Date.parse(m.at))) + 0.5).filter(
    ({ x }) => x >= inset.left && x <= size.w - inset.right,
  )
  for (const { marker, x } of clusters) {
    c.strokeStyle = marker.kind === 'config' ? ink.info : marker.kind === 'alert' ? ink.fail : ink.lineStrong
    c.lineWidth = 1
    line(c, x, top, x, base + (low ? 0 : 4))
  }
  if (low) return
  const marks: [number, number][] = clusters.map(({ x }) => [x - 5, x + 5])
  const taken: [number, number][] = []
  for (const { marker, x, more } of clusters.toReversed()) {
    mark(c, marker, x, base + 8.5, ink)
    const words = more > 0 ? `${middle(markerWords(marker), 30)} +${more}` : middle(markerWords(marker), 34)
    const width = c.measureText(words).width
    for (const [from, to, align] of [
      [x + 8, x + 8 + width, 'left'],
      [x - 8 - width, x - 8, 'right'],
    ] as const) {
      if (from < inset.left || to > size.w - 4 || [...marks, ...taken].some(([a, b]) => from < b + 2 && to > a - 2)) continue
      taken.push([from, to])
      c.fillStyle = ink.text2
      c.textAlign = align
      c.fillText(words, align === 'left' ? from : to, base + 12.5)
      break
    }
  }
}

/** Diamond: configuration. Triangle: started or stopped. Octagon: alert. Square: a breaker opened or closed. */
function mark(c: CanvasRenderingContext2D, m: Marker, x: number, y: number, ink: Ink): void {
  c.beginPath()
  if (m.kind === 'config') {
    c.fillStyle = ink.info
    for (const [dx, dy] of [[0, -4.5], [4.5, 0], [0, 4.5], [-4.5, 0]] as const) c.lineTo(x + dx, y + dy)
  } else if (m.kind === 'alert') {
    c.fillStyle = m.severity === 'warn' ? ink.warn : m.severity === 'ok' ? ink.ok : ink.fail
    for (let i = 0; i < 8; i++) c.lineTo(x + Math.cos(Math.PI / 8 + (i * Math.PI) / 4) * 4.7, y + Math.sin(Math.PI / 8 + (i * Math.PI) / 4) * 4.7)
  } else if (m.kind === 'breaker') {
    c.fillStyle = m.severity === 'ok' ? ink.ok : m.severity === 'fail' ? ink.fail : ink.warn
    c.rect(x - 3.8, y - 3.8, 7.6, 7.6)
  } else {
    c.fillStyle = ink.text2
    const up = m.kind === 'start' ? 1 : -1
    for (const [dx, dy] of [[0, -4.2], [4.6, 3.8], [-4.6, 3.8]] as const) c.lineTo(x + dx, y + dy * up)
  }
  c.closePath()
  c.fill()
}

function playhead(c: CanvasRenderingContext2D, { timeline, scale, size, at, ink }: Job, base: number, top: number, most: number): void {
  const end = scale.x(scale.to)
  if (at === null) {
    const y = base - ((timeline.errors_per_s.at(-1) ?? 0) / most) * (base - top)
    c.strokeStyle = ink.text
    c.lineWidth = 1.5
    line(c, end, 4, end, base)
    c.fillStyle = ink.text
    dot(c, end, y)
    return
  }
  const x = Math.max(inset.left, Math.min(size.w - inset.right, scale.x(at)))
  c.globalAlpha = 0.62
  c.fillStyle = ink.bar
  c.fillRect(x, 4, Math.max(0, end - x), base - 4)
  c.globalAlpha = 1
  c.strokeStyle = ink.warn
  c.lineWidth = 1.5
  line(c, x, 4, x, base)
  c.fillStyle = ink.warn
  dot(c, x, 5)
}

function dot(c: CanvasRenderingContext2D, x: number, y: number): void {
  c.beginPath()
  c.arc(x, y, 3, 0, Math.PI * 2)
  c.fill()
}

function line(c: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  c.beginPath()
  c.moveTo(x1, y1)
  c.lineTo(x2, y2)
  c.stroke()
}
