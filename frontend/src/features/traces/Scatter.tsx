import { useCallback, useMemo, useState } from 'react'
import type { PointerEvent } from 'react'
import type { TraceSummary } from '@/api/types'
import { Canvas } from '@/ui/charts/Canvas'
import { useWidth } from '@/ui/charts/measure'
import type { Paint } from '@/ui/charts/Canvas'
import { roundMs, timeTicks } from '@/ui/charts/scale'
import { duration, plural, text } from '@/lib/format'
import { clock } from '@/lib/time'
import { outcomesInWords } from './outcome'
import styles from './Scatter.module.css'
import { brushed, nearest, plotOf, scalesOf } from './scatter'
import type { Brush, Point } from './scatter'

const HEIGHT = 148
const PAD = { left: 58, right: 14, top: 10, bottom: 20 }

type ScatterProps = {
  traces: readonly TraceSummary[]
  hovered: string | null
  onHover: (trace: string | null) => void
  onOpen: (trace: string) => void
  onBrush: (range: { from: string; to: string; min_ms: string; max_ms: string }) => void
}

/** All traces found, duration over time. A drag chooses a stretch of both, a click opens one. */
export function Scatter({ traces, hovered, onHover, onOpen, onBrush }: ScatterProps) {
  const [ref, width] = useWidth<HTMLDivElement>()
  const [brush, setBrush] = useState<Brush | null>(null)
  const plot = useMemo(() => plotOf(traces), [traces])
  const frame = useMemo(() => ({ left: PAD.left, right: Math.max(PAD.left + 1, width - PAD.right), top: PAD.top, bottom: HEIGHT - PAD.bottom }), [width])
  const { x, y } = useMemo(() => scalesOf(plot, frame), [plot, frame])
  const hot = plot.points.find((p) => traces[p.index]?.trace_id === hovered) ?? null

  const paint = useCallback<Paint>(
    (ctx, _, p) => {
      ctx.font = `11px ${p.sans}`
      ctx.textBaseline = 'middle'
      ctx.textAlign = 'right'
      for (const t of plot.ticks) {
        ctx.fillStyle = p.hair
        ctx.fillRect(frame.left, Math.round(y(t)), frame.right - frame.left, 1)
        ctx.fillStyle = p['text-3']
        ctx.fillText(roundMs(t), frame.left - 6, y(t))
      }
      ctx.textAlign = 'center'
      for (const t of plot.points.length > 0 ? timeTicks(plot.from, plot.to, Math.max(2, Math.floor(width / 110))) : []) {
        ctx.fillStyle = p['line-strong']
        ctx.fillRect(Math.round(x(t.value)), frame.bottom, 1, 4)
        ctx.fillStyle = p['text-3']
        if (x(t.value) > frame.left + 16 && x(t.value) < frame.right - 16) ctx.fillText(t.label, x(t.value), HEIGHT - 7)
      }
      for (const q of plot.points) point(ctx, q, x(q.at), y(q.ms), q.failed ? p.fail : p['data-3'])
      if (hot) {
        ctx.strokeStyle = p.info
        ctx.lineWidth = 2
        ctx.beginPath()
        ctx.arc(x(hot.at), y(hot.ms), hot.radius + 3.5, 0, 2 * Math.PI)
        ctx.stroke()
      }
      if (brush) {
        ctx.fillStyle = p['info-wash']
        ctx.globalAlpha = 0.5
        ctx.fillRect(brush.x0, brush.y0, brush.x1 - brush.x0, brush.y1 - brush.y0)
        ctx.globalAlpha = 1
        ctx.strokeStyle = p.info
        ctx.lineWidth = 1
        ctx.strokeRect(brush.x0 + 0.5, brush.y0 + 0.5, brush.x1 - brush.x0, brush.y1 - brush.y0)
      }
    },
    [plot, frame, x, y, hot, brush, width],
  )

  const at = (e: PointerEvent<HTMLCanvasElement>) => ({ px: e.nativeEvent.offsetX, py: e.nativeEvent.offsetY })
  const found = (e: PointerEvent<HTMLCanvasElement>): TraceSummary | undefined => {
    const { px, py } = at(e)
    const p = nearest(plot, x, y, px, py)
    return p ? traces[p.index] : undefined
  }
  const tip = hot ? traces[hot.index] : undefined
  return (
    <div ref={ref} className={styles.scatter}>
      <Canvas
        paint={paint}
        height={HEIGHT}
        style={{ cursor: tip && !brush ? 'pointer' : 'crosshair', touchAction: 'pan-y' }}
        label={`Duration over time: ${plural(traces.length, 'trace')}, ${outcomesInWords(traces)}. The list below holds the same.`}
        onPointerDown={(e) => {
          if (e.button !== 0) return
          e.currentTarget.setPointerCapture(e.pointerId)
          const { px, py } = at(e)
          setBrush({ x0: px, y0: py, x1: px, y1: py })
        }}
        onPointerMove={(e) => {
          const { px, py } = at(e)
          if (brush) setBrush({ ...brush, x1: px, y1: py })
          else onHover(found(e)?.trace_id ?? null)
        }}
        onPointerUp={(e) => {
          const b = brush
          setBrush(null)
          if (b && Math.abs(b.x1 - b.x0) > 6 && Math.abs(b.y1 - b.y0) > 6) return onBrush(brushed(b, x, y))
          const trace = found(e)
          if (trace) onOpen(trace.trace_id)
        }}
        onPointerLeave={() => onHover(null)}
      />
      {tip && hot ? (
        <p className={styles.tip} style={{ left: Math.min(width - 230, Math.max(4, x(hot.at) + 10)), top: Math.max(0, y(hot.ms) - 30) }}>
          <b>{text(duration(tip.duration_ms))}</b> {tip.service} {tip.operation}
          <span className="t3">
            {' '}
            {clock(tip.start)}, {plural(tip.spans, 'span')}
            {tip.errors > 0 ? `, ${plural(tip.errors, 'error')}` : ''}
          </span>
        </p>
      ) : null}
    </div>
  )
}

/** A disc, or an octagon's cross where something failed: told apart without colour. */
function point(ctx: CanvasRenderingContext2D, p: Point, x: number, y: number, ink: string): void {
  ctx.fillStyle = ink
  ctx.strokeStyle = ink
  ctx.beginPath()
  if (!p.failed) {
    ctx.globalAlpha = 0.75
    ctx.arc(x, y, p.radius, 0, 2 * Math.PI)
    ctx.fill()
    ctx.globalAlpha = 1
    return
  }
  const r = p.radius
  ctx.lineWidth = 2
  ctx.moveTo(x - r, y - r)
  ctx.lineTo(x + r, y + r)
  ctx.moveTo(x + r, y - r)
  ctx.lineTo(x - r, y + r)
  ctx.stroke()
}
