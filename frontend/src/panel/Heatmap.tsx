import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { text } from '@/lib/format'
import { clockShort } from '@/lib/time'
import { Canvas, type Paint } from '@/ui/charts/Canvas'
import { timeTicks } from '@/ui/charts/scale'
import type { Measured } from './fetch'
import { heatOf } from './frames'
import styles from './Panel.module.css'
import { inUnit } from './units'

const left = 52
const foot = 16

/** How many fell into each bucket at each time: the darker, the more. */
export function Heatmap({ answer, unit, title }: { answer: Measured; unit: string; title: string }) {
  const box = useRef<HTMLDivElement>(null)
  const [height, setHeight] = useState(0)
  const [tip, setTip] = useState<string | null>(null)
  const heat = useMemo(() => heatOf(answer), [answer])
  useEffect(() => {
    const element = box.current
    if (!element) return
    const watch = new ResizeObserver(() => setHeight(element.clientHeight))
    watch.observe(element)
    return () => watch.disconnect()
  }, [])
  const paint = useCallback<Paint>(
    (ctx, size, palette) => {
      const rows = heat.bounds.length
      const columns = heat.times.length
      if (rows === 0 || columns === 0) return
      const w = (size.width - left) / columns
      const h = (size.height - foot) / rows
      ctx.font = `11px ${palette.sans}`
      ctx.textBaseline = 'middle'
      ctx.fillStyle = palette.info
      // Few and many differ by orders of magnitude: the root shows both.
      heat.cells.forEach((row, i) => {
        row.forEach((v, j) => {
          if (v <= 1e-9) return
          ctx.globalAlpha = 0.12 + 0.88 * Math.sqrt(v / heat.max)
          ctx.fillRect(left + j * w, size.height - foot - (i + 1) * h, Math.max(0.5, w - (w > 4 ? 1 : 0)), Math.max(1, h - 1))
        })
      })
      ctx.globalAlpha = 1
      ctx.fillStyle = palette['text-3']
      ctx.textAlign = 'right'
      const every = Math.max(1, Math.ceil(16 / h))
      heat.bounds.forEach((bound, i) => {
        if (i % every === 0) ctx.fillText(boundText(bound, unit), left - 6, size.height - foot - (i + 0.5) * h)
      })
      ctx.textAlign = 'center'
      for (const tick of timeTicks(answer.from * 1000, answer.to * 1000, Math.floor((size.width - left) / 70))) {
        const x = left + ((tick.value / 1000 - answer.from) / Math.max(1, answer.to - answer.from)) * (size.width - left)
        if (x > left + 14 && x < size.width - 14) ctx.fillText(tick.label, x, size.height - foot / 2 + 2)
      }
    },
    [heat, answer, unit],
  )
  function cellAt(x: number, y: number, width: number, high: number): string | null {
    const j = Math.floor(((x - left) / (width - left)) * heat.times.length)
    const i = Math.floor(((high - foot - y) / (high - foot)) * heat.bounds.length)
    const v = heat.cells[i]?.[j]
    if (v === undefined) return null
    const lower = i === 0 ? '' : `${boundText(heat.bounds[i - 1]!, unit)} to `
    return `${clockShort(heat.times[j]! * 1000)}, ${lower}${boundText(heat.bounds[i]!, unit)}: ${text(inUnit(v, 'reqps'))}`
  }
  return (
    <div className={styles.plot} ref={box}>
      {tip === null ? null : <p className={styles.tip}>{tip}</p>}
      {height > 0 ? (
        <Canvas
          paint={paint}
          height={height}
          label={`${title}: buckets from ${boundText(heat.bounds[0] ?? 0, unit)} to ${boundText(heat.bounds.at(-1) ?? 0, unit)}`}
          onPointerMove={(e) => setTip(cellAt(e.nativeEvent.offsetX, e.nativeEvent.offsetY, e.currentTarget.clientWidth, height))}
          onPointerLeave={() => setTip(null)}
        />
      ) : null}
    </div>
  )
}

function boundText(bound: number, unit: string): string {
  return bound === Infinity ? 'more' : text(inUnit(bound, unit))
}
