import { useMemo, useRef, useSyncExternalStore } from 'react'
import type { GraphEngine } from '@/graph/engine'
import { card, inflate, type Point } from '@/graph/geometry'
import type { Model } from '@/graph/model'
import { seen } from '@/graph/viewport'
import styles from './Minimap.module.css'

const size = { w: 166, h: 106 }

/** The whole graph small, with what is seen framed; press or drag to go there. */
export function Minimap({ engine, model }: { engine: GraphEngine; model: Model }) {
  const camera = useSyncExternalStore(engine.camera.subscribe, engine.camera.get)
  const picture = useSyncExternalStore(engine.picture.subscribe, engine.picture.get)
  const cards = useMemo(() => cardPaths(model, picture.positions), [model, picture.positions])
  const ref = useRef<SVGSVGElement>(null)
  const extent = engine.extent()
  if (!extent) return null
  const area = inflate(extent, 30)
  const scale = Math.min(size.w / area.w, size.h / area.h)
  const view = seen(camera.view, camera.size)
  const x1 = Math.max(area.x, view.x)
  const y1 = Math.max(area.y, view.y)
  const w = Math.max(0, Math.min(area.x + area.w, view.x + view.w) - x1)
  const h = Math.max(0, Math.min(area.y + area.h, view.y + view.h) - y1)
  const go = (e: React.PointerEvent) => {
    const box = ref.current?.getBoundingClientRect()
    if (!box || e.buttons !== 1) return
    engine.centre({
      x: area.x + area.w / 2 + (e.clientX - box.left - box.width / 2) / scale,
      y: area.y + area.h / 2 + (e.clientY - box.top - box.height / 2) / scale,
    })
  }
  return (
    <div className={styles.map}>
      <svg
        ref={ref}
        width={size.w}
        height={size.h}
        viewBox={`${area.x} ${area.y} ${area.w} ${area.h}`}
        aria-hidden="true"
        onPointerDown={(e) => {
          e.currentTarget.setPointerCapture(e.pointerId)
          go(e)
        }}
        onPointerMove={go}
      >
        {[...picture.boxes].map(([id, r]) => (
          <rect key={id} x={r.x} y={r.y} width={r.w} height={r.h} rx={8 / scale / 2} className={styles.box} strokeWidth={0.7 / scale} />
        ))}
        {tones.map((fill) => (
          <path key={fill} d={cards.get(fill)} fill={fill} />
        ))}
        <rect x={x1} y={y1} width={w} height={h} rx={2 / scale} fill="none" stroke="var(--info)" strokeWidth={1.2 / scale} />
      </svg>
    </div>
  )
}

const tones = ['var(--data-2)', 'var(--warn)', 'var(--fail)'] as const

/** All cards as one path for each tone: ten thousand elements would take longer than the graph. */
function cardPaths(model: Model, positions: ReadonlyMap<string, Point>): Map<string, string> {
  const parts = new Map<string, string[]>(tones.map((t) => [t, []]))
  for (const [id, { x, y }] of positions) parts.get(tone(model, id))?.push(`M${Math.round(x)} ${Math.round(y)}h${card.w}v${card.h}h-${card.w}z`)
  return new Map([...parts].map(([fill, list]) => [fill, list.join('')]))
}

function tone(model: Model, id: string): (typeof tones)[number] {
  const state = model.nodes.get(id)?.health.state
  return state === 'fail' ? 'var(--fail)' : state === 'warn' ? 'var(--warn)' : 'var(--data-2)'
}
