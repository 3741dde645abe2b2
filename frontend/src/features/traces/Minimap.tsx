import { useCallback, useState } from 'react'
import type { PointerEvent } from 'react'
import { Canvas } from '@/ui/charts/Canvas'
import type { Paint } from '@/ui/charts/Canvas'
import { linear } from '@/ui/charts/scale'
import styles from './Minimap.module.css'
import { CRITICAL, ORIGIN } from './tree'
import type { SpanTree } from './tree'
import { zoomed } from './zoom'
import type { View } from './zoom'

const HEIGHT = 52
const PAD = 14

const laneOf = (tree: SpanTree) => Math.min(4, (HEIGHT - 4) / Math.max(1, tree.size))
const scaleOf = (tree: SpanTree, width: number) => linear(0, tree.duration_us, PAD, width - PAD)

type MinimapProps = {
  tree: SpanTree
  view: View
  /** First and last visible row as span indexes. */
  rows: { from: number; to: number }
  onView: (view: View) => void
  onRow: (index: number) => void
}

/**
 * The whole trace at a glance. A drag zooms in time; a click goes to that
 * place; two clicks show all. The spans lie on a canvas of their own below the
 * frame, so that scrolling through 80 000 of them does not draw them anew.
 */
export function Minimap({ tree, view, rows, onView, onRow }: MinimapProps) {
  const [drag, setDrag] = useState<{ a: number; b: number } | null>(null)
  const spans = useCallback<Paint>((ctx, { width }, p) => paintSpans(ctx, tree, width, p), [tree])
  const frame = useCallback<Paint>(
    (ctx, { width }, p) => {
      const x = scaleOf(tree, width)
      const [a, b] = drag ? [Math.min(drag.a, drag.b), Math.max(drag.a, drag.b)] : [view.from, view.to]
      ctx.fillStyle = p.bar
      ctx.globalAlpha = 0.62
      ctx.fillRect(0, 0, Math.max(0, x(a)), HEIGHT)
      ctx.fillRect(x(b), 0, width - x(b), HEIGHT)
      ctx.globalAlpha = 1
      ctx.fillStyle = p.info
      if (a > 0 || b < tree.duration_us) {
        ctx.fillRect(x(a), 0, 1, HEIGHT)
        ctx.fillRect(x(b) - 1, 0, 1, HEIGHT)
      }
      if (rows.to - rows.from + 1 >= tree.size) return
      ctx.strokeStyle = p.info
      ctx.lineWidth = 1
      const lane = laneOf(tree)
      ctx.strokeRect(x(a) + 0.5, Math.round(1 + rows.from * lane) + 0.5, x(b) - x(a) - 1, Math.max(3, (rows.to - rows.from + 1) * lane))
    },
    [tree, view, rows.from, rows.to, drag],
  )
  const time = (e: PointerEvent<HTMLCanvasElement>) => scaleOf(tree, e.currentTarget.clientWidth).invert(e.nativeEvent.offsetX)
  return (
    <div className={styles.minimap} style={{ height: HEIGHT }}>
      <Canvas paint={spans} height={HEIGHT} label={`Overview of ${tree.size} spans`} />
      <Canvas
        paint={frame}
        height={HEIGHT}
        className={styles.frame}
        onPointerDown={(e) => {
          if (e.detail > 1) return onView({ from: 0, to: tree.duration_us })
          e.currentTarget.setPointerCapture(e.pointerId)
          setDrag({ a: time(e), b: time(e) })
        }}
        onPointerMove={(e) => drag && setDrag({ a: drag.a, b: time(e) })}
        onPointerUp={(e) => {
          const d = drag
          setDrag(null)
          if (!d) return
          const far = Math.abs(d.b - d.a) / tree.duration_us > 0.005
          if (far) return onView(zoomed(d.a, d.b, tree.duration_us))
          onRow(Math.max(0, Math.min(tree.size - 1, Math.round((e.nativeEvent.offsetY - 2) / laneOf(tree)))))
        }}
      />
    </div>
  )
}

/** Where it failed comes last, so that no line of a large trace hides it. */
function paintSpans(ctx: CanvasRenderingContext2D, tree: SpanTree, width: number, p: Parameters<Paint>[2]): void {
  const x = scaleOf(tree, width)
  const lane = laneOf(tree)
  const thick = Math.max(1, lane - 0.6)
  for (const pass of [0, 1] as const) {
    for (let i = 0; i < tree.size; i++) {
      const failed = (tree.flags[i]! & ORIGIN) !== 0
      if (failed !== (pass === 1)) continue
      const s = tree.spans[i]!
      ctx.fillStyle = failed ? p.fail : tree.flags[i]! & CRITICAL ? p['data-4'] : p['data-2']
      const least = failed ? 2.5 : 1
      ctx.fillRect(x(s.start_us), 2 + i * lane, Math.max(least, x(s.start_us + s.duration_us) - x(s.start_us)), Math.max(thick, least))
    }
  }
}
