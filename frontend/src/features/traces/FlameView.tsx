import { useCallback, useMemo, useState } from 'react'
import type { PointerEvent } from 'react'
import { count, duration, plural, text } from '@/lib/format'
import { Canvas } from '@/ui/charts/Canvas'
import type { Paint } from '@/ui/charts/Canvas'
import { tableClass } from '@/ui/Table'
import { flameOf, frameAt } from './flame'
import type { Flame, Frame } from './flame'
import styles from './FlameView.module.css'
import type { SpanTree } from './tree'

const ROW = 20

/** Where own time goes, by way down: a click zooms into a frame, another on it goes to its first span. */
export function FlameView({ tree, onSelect }: { tree: SpanTree; onSelect: (index: number) => void }) {
  const flame = useMemo(() => flameOf(tree), [tree])
  const [zoom, setZoom] = useState(-1)
  const [hot, setHot] = useState(-1)
  const from = zoom < 0 ? 0 : flame.frames[zoom]!.x
  const width = Math.max(1, zoom < 0 ? flame.total_us : flame.frames[zoom]!.width)
  const paint = useCallback<Paint>(
    (ctx, size, p) => {
      ctx.font = `11px ${p.sans}`
      ctx.textBaseline = 'middle'
      const scale = size.width / width
      flame.frames.forEach((f, i) => {
        const a = Math.max(0, (f.x - from) * scale)
        const b = Math.min(size.width, (f.x + f.width - from) * scale)
        if (b - a < 0.5) return
        const y = f.depth * ROW
        ctx.fillStyle = f.errors > 0 ? p.fail : shade(f.service, p)
        ctx.globalAlpha = i === hot ? 0.7 : 1
        ctx.fillRect(a, y, Math.max(1, b - a - 1), ROW - 1)
        ctx.globalAlpha = 1
        if (b - a < 40) return
        ctx.save()
        ctx.beginPath()
        ctx.rect(a, y, b - a - 4, ROW)
        ctx.clip()
        ctx.fillStyle = p.bar
        ctx.fillText(`${f.service} ${f.operation}`, a + 5, y + ROW / 2)
        ctx.restore()
      })
    },
    [flame, from, width, hot],
  )
  const at = (e: PointerEvent<HTMLCanvasElement>) =>
    frameAt(flame, from + (e.nativeEvent.offsetX / e.currentTarget.clientWidth) * width, Math.floor(e.nativeEvent.offsetY / ROW))
  const shown = hot >= 0 ? flame.frames[hot]! : zoom >= 0 ? flame.frames[zoom]! : null
  return (
    <div className={styles.view}>
      <p className={styles.what} aria-live="polite">
        {shown ? <Words frame={shown} flame={flame} /> : <span className="t2">Width is own time, {text(duration(flame.total_us / 1000))} in all. A click zooms in, a second one goes to the span.</span>}
        {zoom >= 0 ? (
          <button type="button" className="info-t" onClick={() => setZoom(-1)}>
            show all
          </button>
        ) : null}
      </p>
      <Canvas
        paint={paint}
        height={flame.depth * ROW}
        label={`Flame graph of ${plural(flame.frames.length, 'frame')}; the table below says the same`}
        onPointerMove={(e) => setHot(at(e))}
        onPointerLeave={() => setHot(-1)}
        onPointerDown={(e) => {
          const i = at(e)
          if (i >= 0 && i === zoom) onSelect(flame.frames[i]!.first)
          else setZoom(i)
        }}
      />
      <Table flame={flame} onSelect={onSelect} />
    </div>
  )
}

/** A service keeps its shade of the data colour; three are enough to tell neighbours apart. */
const shade = (service: string, p: Record<'data-2' | 'data-3' | 'text-2', string>) => {
  let h = 0
  for (const c of service) h = (h * 31 + c.charCodeAt(0)) % 3
  return p[(['data-3', 'data-2', 'text-2'] as const)[h]!]
}

function Words({ frame: f, flame }: { frame: Frame; flame: Flame }) {
  return (
    <span>
      <b className="strong">{f.service}</b> {f.operation}:{' '}
      <span className="t2">
        {text(duration(f.self_us / 1000))} itself, {text(duration(f.width / 1000))} with all below ({Math.round((f.width / flame.total_us) * 100)} %), {plural(f.spans, 'span')}
        {f.errors > 0 ? `, ${plural(f.errors, 'error')}` : ''}
      </span>
    </span>
  )
}

/** The same by operation, most own time first: for the keyboard, and for who wants the figures. */
function Table({ flame, onSelect }: { flame: Flame; onSelect: (index: number) => void }) {
  const rows = useMemo(() => {
    const by = new Map<string, { service: string; operation: string; self_us: number; spans: number; errors: number; first: number }>()
    for (const f of flame.frames) {
      const key = `${f.service}\n${f.operation}`
      const row = by.get(key)
      if (row) {
        row.self_us += f.self_us
        row.spans += f.spans
        row.errors += f.errors
      } else by.set(key, { service: f.service, operation: f.operation, self_us: f.self_us, spans: f.spans, errors: f.errors, first: f.first })
    }
    return [...by.values()].sort((a, b) => b.self_us - a.self_us).slice(0, 40)
  }, [flame])
  return (
    <table className={tableClass}>
      <thead>
        <tr>
          <th scope="col">Service, operation</th>
          <th scope="col" data-num>Own time</th>
          <th scope="col" data-num>Share</th>
          <th scope="col" data-num>Spans</th>
          <th scope="col" data-num>Errors</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((r) => (
          <tr key={`${r.service} ${r.operation}`}>
            <td>
              <button type="button" onClick={() => onSelect(r.first)}>
                <b className="strong">{r.service}</b> <span className="t2">{r.operation}</span>
              </button>
            </td>
            <td data-num>{text(duration(r.self_us / 1000))}</td>
            <td data-num>{Math.round((r.self_us / Math.max(1, flame.total_us)) * 100)} %</td>
            <td data-num>{count(r.spans)}</td>
            <td data-num className={r.errors > 0 ? 'fail-t' : 't3'}>{count(r.errors)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
