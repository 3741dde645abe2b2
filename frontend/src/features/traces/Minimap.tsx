import { useCallback, useState } from 'react'
import type { PointerEvent } from 'react'
import { Canvas } from '@/ui/charts/Canvas'
import type { Paint } from '@/ui/charts/Canvas'
import { linear } from '@/ui/charts/scale'
import { CRITICAL, ORIGIN } from './tree'
import type { SpanTree } from './tree'
import { zoomed } from './zoom'
import type { View } from './zoom'

const HEIGHT = 52
const PAD = 14

type MinimapProps = {
  tree: SpanTree
  view: View
  /** First and last visible row as span indexes. */
  rows: { from: number; to: number }
  onView: (view: View) => void
  onRow: (index: number) => void
}

/** The whole trace at a glance. A drag zooms in time; a click goes to that place; two clicks show all. */
export function Minimap({ tree, view, rows, onView, onRow }: MinimapProps) {
  const [drag, setDrag] = useState<{ a: number; b: number } | null>(null)
  const paint = useCallback<Paint>(
    (ctx, { width }, p) => {
      const x = linear(0, tree.duration_us, PAD, width - PAD)
      const lane = Math.min(4, (HEIGHT - 4) / Math.max(1, tree.size))
      const thick = Math.max(1, lane - 0.6)
      // Where it failed comes last, so that no line of a large trace hides them.
      for (const pass of [0, 1] as const) {
        for (let i = 0; i < tree.size; i++) {
          const failed = (tree.flags[i]! & ORIGIN) !== 0
          if (failed !== (pass === 1)) continue
          const s = tree.spans[i]!
          ctx.fillStyle = failed ? p.fail : tree.flags[i]! & CRITICAL ? p['data-4'] : p['data-2']
          ctx.fillRect(x(s.start_us), 2 + i * lane, Math.max(1, x(s.start_us + s.duration_us) - x(s.start_us)), thick)
        }
      }
      const [a, b] = drag ? [Math.min(drag.a, drag.b), Math.max(drag.a, drag.b)] : [view.from, view.to]
      ctx.fillStyle = p.bar
      ctx.globalAlpha = 0.62
      ctx.fillRect(0, 0, Math.max(0, x(a)), HEIGHT)
      ctx.fillRect(x(b), 0, width - x(b), HEIGHT)
      ctx.globalAlpha = 1
      if (rows.to - rows.from + 1 < tree.size) {
        ctx.strokeStyle = p.info
        ctx.lineWidth = 1
        const top = 1 + rows.from * lane
        ctx.strokeRect(x(a) + 0.5, Math.round(top) + 0.5, x(b) - x(a) - 1, Math.max(3, (rows.to - rows.from + 1) * lane))
      } else if (a > 0 || b < tree.duration_us) {
        ctx.fillStyle = p.info
        ctx.fillRect(x(a), 0, 1, HEIGHT)
        ctx.fillRect(x(b) - 1, 0, 1, HEIGHT)
      }
    },
    [tree, view, rows.from, rows.to, drag],
  )
  const time = (e: PointerEvent<HTMLCanvasElement>) => linear(0, tree.duration_us, PAD, e.currentTarget.clientWidth - PAD).invert(e.nativeEvent.offsetX)
  return (
    <Canvas
      paint={paint}
      height={HEIGHT}
      label={`Overview of ${tree.size} spans`}
      style={{ cursor: 'col-resize', touchAction: 'pan-y' }}
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
        const lane = Math.min(4, (HEIGHT - 4) / Math.max(1, tree.size))
        onRow(Math.max(0, Math.min(tree.size - 1, Math.round((e.nativeEvent.offsetY - 2) / lane))))
      }}
    />
  )
}
